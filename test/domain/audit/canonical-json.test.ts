import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { canonicalJson } from '../../../src/domain/audit/canonical-json.ts'

const text = fc.string({ unit: 'binary' })
const value = fc.letrec((tie) => ({
  any: fc.oneof(
    { maxDepth: 4 },
    text,
    fc.maxSafeInteger(),
    fc.boolean(),
    fc.constant(null),
    fc.array(tie('any'), { maxLength: 5 }),
    fc.dictionary(text, tie('any'), { maxKeys: 6 }),
  ),
})).any

/** RFC 8785 section 3.2, written down as plainly as it can be. */
function defined(any: unknown): string {
  if (typeof any === 'string') return JSON.stringify(any.toWellFormed())
  if (Array.isArray(any)) return `[${any.map(defined).join(',')}]`
  if (typeof any !== 'object' || any === null) return JSON.stringify(any)
  const members = Object.entries(any).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${defined(member)}`).join(',')}}`
}

describe('canonicalJson', () => {
  it('is what RFC 8785 defines, for ordinary keys and for those that engines treat apart', () => {
    const key = fc.oneof(fc.constantFrom('10', '9', 'a', 'B', '__proto__', 'toJSON', '\u20ac', ''), fc.string())
    const members = fc.letrec((tie) => ({
      any: fc.oneof({ maxDepth: 3 }, text, fc.maxSafeInteger(), fc.dictionary(key, tie('any'), { maxKeys: 6 })),
    })).any
    fc.assert(
      fc.property(fc.oneof(members, value), (any) => {
        expect(canonicalJson(any)).toBe(defined(any))
      }),
    )
  })

  it('gives text that, parsed and written again, is the same text', () => {
    fc.assert(
      fc.property(value, (any) => {
        const once = canonicalJson(any)
        expect(canonicalJson(JSON.parse(once))).toBe(once)
      }),
    )
  })

  it('does not depend on the order of keys', () => {
    fc.assert(
      fc.property(fc.dictionary(text, fc.integer()), (members) => {
        const reversed = Object.fromEntries(Object.entries(members).toReversed())
        expect(canonicalJson(reversed)).toBe(canonicalJson(members))
      }),
    )
  })

  it('sorts keys by UTF-16 code units and escapes as RFC 8785 section 3.2.3 shows', () => {
    const members = { '\u20ac': 1, '\r': 2, '\ufb33': 3, '1': 4, '\ud83d\ude00': 5, '\u0080': 6, '\u00f6': 7 }
    expect(canonicalJson(members)).toBe('{"\\r":2,"1":4,"\u0080":6,"\u00f6":7,"\u20ac":1,"\ud83d\ude00":5,"\ufb33":3}')
    expect(canonicalJson('\u20ac$\u000f\nA\'B"\\/')).toBe('"\u20ac$\\u000f\\nA\'B\\"\\\\/"')
  })

  it('leaves undefined members out and replaces lone surrogates', () => {
    expect(canonicalJson({ b: undefined, a: 'x\ud800' })).toBe('{"a":"x\ufffd"}')
    expect(canonicalJson(-0)).toBe('0')
  })

  it.each([
    ['a float', { a: { b: [1.5] } }, '$.a.b[0]: 1.5 is not an integer'],
    ['an integer of 2^53', { a: 2 ** 53 }, '$.a'],
    ['NaN', Number.NaN, '$: NaN'],
    ['a bigint', { a: 1n }, '$.a: a bigint has no canonical form'],
    ['undefined in a list', [undefined], '$[0]: a undefined'],
    ['a Date', { at: new Date(0) }, '$.at: only plain objects'],
    ['a Map', { at: new Map() }, '$.at: only plain objects'],
    ['a key with a lone surrogate', { 'x\udc00': 1 }, 'lone surrogate'],
  ])('refuses %s and names the place', (_name, bad, message) => {
    expect(() => canonicalJson(bad)).toThrow(message)
  })

  it('ends on a cycle', () => {
    const cycle: { self?: unknown } = {}
    cycle.self = cycle
    expect(() => canonicalJson(cycle)).toThrow('nested deeper')
  })
})
