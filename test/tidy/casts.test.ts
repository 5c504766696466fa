import { describe, expect, it } from 'vitest'
import { findBareCasts } from './casts.ts'
import { readTree } from './source.ts'

const files = readTree('src', ['.ts']).concat(readTree('scripts', ['.ts']))
const casts = (text: string) => findBareCasts([{ path: 'src/a.ts', text }])

describe('a cast', () => {
  it('carries its proof everywhere in src', () => {
    expect(files.map(({ path }) => path)).toContain('src/domain/prices/money.ts')
    expect(findBareCasts(files)).toEqual([])
  })

  it.each([
    ['const a = b as C'],
    ['const a = (b + c) as unknown as D'],
    ['f(b as { c: string })'],
    ["const a = '// proof' as C"],
    ['const a = /x/ as C\n// a comment below'],
    ['// a comment\n\nconst a = b as C'],
    ['const a = b as (c: C) => D'],
    ['const a = `${b as C}`'],
    ['export const a = { b: c as D }'],
  ])('without a proof is found: %j', (text) => {
    expect(casts(text)).toHaveLength(1)
  })

  it.each([
    ['const a = b as const'],
    ['const a = b as C // the schema has just said so'],
    ['// The schema has just said so.\nconst a = b as C'],
    ['/** Proof:\n * the schema. */\nconst a = b as C'],
    ["import { a as b } from './a.ts'"],
    ["import c, { a as b } from './a.ts'"],
    ["import * as a from './a.ts'"],
    ["import type { A as B } from './a.ts'"],
    ["export { a as b } from './a.ts'"],
    ['type A = { [K in B as C<K>]: D }'],
    ['// said as plain text'],
    ["const a = 'as plain text'"],
  ])('is not seen, or has its proof: %j', (text) => {
    expect(casts(text)).toEqual([])
  })
})
