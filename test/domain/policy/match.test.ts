import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { compileGlob } from '../../../src/domain/policy/glob.ts'
import { holds, matchFacts } from '../../../src/domain/policy/match.ts'
import type { Dimension, Test } from '../../../src/domain/policy/policy.ts'
import { anyOf, identity, matching, policy } from '../policy-fixtures.ts'

const { classification } = policy()

function passes(tests: Partial<Record<Dimension, Test>>, caller = identity(), request = {}): boolean {
  return holds(matching(tests), matchFacts(classification, caller, request))
}

const not = (test: Test): Test => ({ kind: 'not', test })
const present = (value: boolean): Test => ({ kind: 'present', present: value })
const glob = (pattern: string): Test => ({ kind: 'glob', pattern, matches: compileGlob(pattern) })
const level = (atLeast: number, atMost = 3): Test => ({ kind: 'level', atLeast, atMost })

describe('a match', () => {
  test('without tests holds for everybody', () => {
    expect(passes({})).toBe(true)
  })

  test('holds only when all of its tests do', () => {
    expect(passes({ team: anyOf('research'), agent: anyOf('bot') })).toBe(true)
    expect(passes({ team: anyOf('research'), agent: anyOf('other') })).toBe(false)
  })

  test('of a list dimension holds when any value of the caller passes', () => {
    const caller = identity({}, { role: ['reader', 'admin'] })
    expect(passes({ role: anyOf('admin') }, caller)).toBe(true)
    expect(passes({ role: glob('ad*') }, caller)).toBe(true)
    expect(passes({ role: anyOf('owner') }, caller)).toBe(false)
  })

  test('with not holds for nobody who has the value, whatever else they have', () => {
    expect(passes({ role: not(anyOf('contractor')) }, identity({}, { role: ['engineer', 'contractor'] }))).toBe(false)
    expect(passes({ role: not(anyOf('contractor')) }, identity({}, { role: ['engineer'] }))).toBe(true)
    expect(passes({ role: not(anyOf('contractor')) }, identity({}, { role: [] }))).toBe(true)
  })

  test('of a value that the caller lacks does not hold, and its opposite does', () => {
    expect(passes({ tier: anyOf('free') })).toBe(false)
    expect(passes({ tier: glob('*') })).toBe(false)
    expect(passes({ tier: not(anyOf('free')) })).toBe(true)
    expect([passes({ tier: present(false) }), passes({ tier: present(true) })]).toEqual([true, false])
    expect([passes({ group: present(false) }), passes({ role: present(true) })]).toEqual([true, true])
  })

  test('of levels compares ranks, and a caller without a level has the default one', () => {
    expect(passes({ classification: level(2) }, identity({ classification: 'restricted' }))).toBe(true)
    expect(passes({ classification: level(2) })).toBe(false)
    expect(passes({ classification: level(1, 1) })).toBe(true)
    expect(passes({ classification: anyOf('internal') })).toBe(true)
    expect(passes({ classification: level(0, 0) })).toBe(false)
  })

  test('of an unknown level never holds', () => {
    const caller = identity({ classification: 'top-secret' })
    expect(passes({ classification: level(0) }, caller)).toBe(false)
    expect(passes({ classification: anyOf('top-secret') }, caller)).toBe(false)
  })

  test('sees model, operation, upstream and issuer', () => {
    const request = { model: 'small', operation: 'chat', upstream: 'sim' }
    expect(passes({ model: glob('sm*'), operation: anyOf('chat'), upstream: anyOf('sim') }, identity(), request)).toBe(
      true,
    )
    expect(passes({ issuer: anyOf('dev') })).toBe(true)
    expect(passes({ model: anyOf('small') })).toBe(false)
  })

  test('does not find values on prototypes', () => {
    const caller = identity({ team: 'constructor' })
    expect(passes({ team: anyOf('constructor') }, caller)).toBe(true)
    expect(passes({ team: anyOf('toString') }, caller)).toBe(false)
  })
})

describe('a glob', () => {
  test('lets * stand for any text, also none, and everything else for itself', () => {
    expect(compileGlob('chat-*')('chat-')).toBe(true)
    expect(compileGlob('chat-*')('xchat-1')).toBe(false)
    expect(compileGlob('a.c')('abc')).toBe(false)
    expect(compileGlob('*mini*')('gpt-5-mini-x')).toBe(true)
    expect(compileGlob('ab*ba')('aba')).toBe(false)
  })

  test('agrees with the expression it stands for', () => {
    const text = fc.string({ unit: fc.constantFrom('a', 'b', '.', '*'), maxLength: 8 })
    const value = fc.string({ unit: fc.constantFrom('a', 'b', '.'), maxLength: 10 })
    fc.assert(
      fc.property(text, value, (pattern, subject) => {
        const expression = new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '.*')}$`)
        expect(compileGlob(pattern)(subject)).toBe(expression.test(subject))
      }),
      { numRuns: 2_000 },
    )
  })
})
