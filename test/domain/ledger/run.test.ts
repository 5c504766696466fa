import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { holds, matchFacts } from '../../../src/domain/policy/match.ts'
import { nameRun, runFault, runOf, runPrefixes } from '../../../src/domain/ledger/run.ts'
import { anyOf, identity, matching, policy } from '../policy-fixtures.ts'

const part = fc.stringMatching(/^[A-Za-z0-9_][A-Za-z0-9._:@+=~-]{0,29}$/)
const path = fc.array(part, { minLength: 1, maxLength: 8 }).map((parts) => parts.join('/'))

describe('the name of a run', () => {
  test('is a path of up to 8 parts, and counts for itself and for each of its parents', () => {
    fc.assert(
      fc.property(path, (name) => {
        expect(runFault(name)).toBeUndefined()
        const prefixes = runPrefixes(name)
        expect(prefixes).toHaveLength(name.split('/').length)
        expect(prefixes.at(-1)).toBe(name)
        for (const [index, prefix] of prefixes.slice(1).entries()) {
          expect(prefix.startsWith(`${prefixes[index] ?? ''}/`)).toBe(true)
        }
      }),
    )
  })

  test.each([
    ['', 'is not the name'],
    ['/', 'is not the name'],
    ['a/', 'is not the name'],
    ['/a', 'is not the name'],
    ['a//b', 'is not the name'],
    ['a/../b', 'is not the name'],
    ['.', 'is not the name'],
    ['two words', 'is not the name'],
    ['a, b', 'is not the name'],
    ['a\nb', 'is not the name'],
    ['a%2Fb', 'is not the name'],
    ['r\u00fcn', 'is not the name'],
    ['x'.repeat(65), 'is not the name'],
    ['a/b/c/d/e/f/g/h/i', 'has 9 parts'],
    [`${'x'.repeat(63)}/`.repeat(4) + 'y', 'has 257 characters'],
  ])('%j is none, and the reason does not repeat it', (name, reason) => {
    const fault = runFault(name)
    expect(fault).toContain(reason)
    // One or two characters stand in every sentence.
    expect(name.length > 4 && fault?.includes(name)).toBe(false)
  })
})

describe('a caller that names its run', () => {
  const claimed = identity({ tenant: 'acme', agent: 'bot', run: 'r1' })
  const named = (...[caller, name, isAllowed]: Parameters<typeof nameRun>) => {
    const found = nameRun(caller, name, isAllowed)
    return found.kind === 'named' ? runOf(found.identity) : found.reason
  }

  test('counts for it where its issuer allows that', () => {
    expect(named(identity(), 'a/b', true)).toBe('a/b')
    expect(named(identity(), 'a/b', false)).toBe('run_not_allowed')
    expect(named(identity(), 'a b', true)).toBe('run_malformed')
  })

  test('cannot leave the run of its token, only name a child of it', () => {
    expect(runOf(claimed)).toBe('r1')
    expect(named(claimed, 'r1', false)).toBe('r1')
    expect(named(claimed, 'r1/child', true)).toBe('r1/child')
    expect(named(claimed, 'r1/child', false)).toBe('run_not_allowed')
    for (const other of ['r2', 'r11', 'r', 'x/r1']) expect(named(claimed, other, true)).toBe('run_contradicts')
  })

  test('stays the caller that its token says, in everything that rules test', () => {
    const found = nameRun(identity(), 'vip', true)
    if (found.kind !== 'named') throw new Error(found.problem)
    const { namedRun, ...rest } = found.identity
    expect(namedRun).toBe('vip')
    expect(rest).toEqual(identity())
    const facts = matchFacts(policy().classification, found.identity)
    expect(holds(matching({ run: anyOf('vip') }), facts)).toBe(false)
    expect(holds(matching({ run: { kind: 'present', present: true } }), facts)).toBe(false)
    expect(holds(matching({ run: { kind: 'not', test: anyOf('vip') } }), facts)).toBe(true)
  })

  test('is one object a run, and only the last runs are remembered', () => {
    const caller = identity()
    const at = (name: string) => {
      const found = nameRun(caller, name, true)
      return found.kind === 'named' ? found.identity : undefined
    }
    const first = at('first')
    expect(at('first')).toBe(first)
    for (let index = 0; index < 64; index += 1) at(`run-${index}`)
    expect(at('first')).not.toBe(first)
    expect(at('first')).toEqual(first)
  })
})
