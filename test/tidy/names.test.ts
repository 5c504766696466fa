import { describe, expect, it } from 'vitest'
import { findBadNames } from './names.ts'
import { readTree } from './source.ts'

const files = ['src', 'test', 'scripts'].flatMap((folder) =>
  readTree(folder, ['']).filter(({ path }) => !path.includes('/fixtures/')),
)

describe('the names of files', () => {
  it('are kebab-case and say one concept', () => {
    expect(files.map(({ path }) => path)).toContain('src/ports.ts')
    expect(findBadNames(files)).toEqual([])
  })

  it.each([
    ['src/Money.ts'],
    ['src/costOfCall.ts'],
    ['src/cost_of_call.ts'],
    ['src/utils.ts'],
    ['src/http/index.ts'],
    ['src/http/helpers.ts'],
    ['src/HTTP/app.ts'],
    ['src/a--b.ts'],
  ])('%s is refused', (path) => {
    expect(findBadNames([{ path }])).toHaveLength(1)
  })

  it.each([
    ['src/cost.ts'],
    ['test/run/report.test.ts'],
    ['src/adapters/redis/lua/reserve.lua'],
    ['src/dialects/chat-to-messages.ts'],
  ])('%s is accepted', (path) => {
    expect(findBadNames([{ path }])).toEqual([])
  })
})
