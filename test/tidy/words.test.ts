import { describe, expect, it } from 'vitest'
import { findMarks } from './marks.ts'
import { readCheckout, ROOT } from './source.ts'
import { wordMarks } from './words.ts'

// The words stand in the test of the words, as samples.
const files = readCheckout(['']).filter(
  ({ path }) => !path.startsWith('test/tidy/words') && path !== 'package-lock.json',
)

const found = (text: string, root: string) => findMarks([{ path: 'a.md', text }], wordMarks(root))

describe('words that do not belong here', () => {
  it('are in no file', () => {
    expect(files.map(({ path }) => path)).toContain('src/gateway.ts')
    expect(files.map(({ path }) => path)).toContain('package.json')
    expect(files.filter(({ path }) => path.startsWith('node_modules'))).toEqual([])
    expect(findMarks(files, wordMarks(ROOT))).toEqual([])
  })

  it.each([
    ['see /build/checkout/src/a.ts', '/build/checkout'],
    ['see "/build/other/file"', '/build/checkout'],
    ['in /build/checkout', '/build/checkout'],
    ['open /home/ann/notes', '/srv/checkout'],
    ['open /Users/ann/notes', '/srv/checkout'],
    ['As an AI, I', '/srv/checkout'],
    ['generated with Claude', '/srv/checkout'],
    ['Co-Authored-By: somebody', '/srv/checkout'],
  ])('are found: %s', (text, root) => {
    expect(found(text, root).length).toBeGreaterThan(0)
  })

  it.each([
    ['a file below /tmp/run', '/tmp/checkout'],
    ['https://example.com/build/a', '/build/checkout'],
    ['src/build/a', '/build/checkout'],
    ['an API, and so on', '/srv/checkout'],
  ])('are not seen in: %s', (text, root) => {
    expect(found(text, root)).toEqual([])
  })
})
