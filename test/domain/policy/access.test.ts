import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { decideAccess, modelsFor } from '../../../src/domain/policy/access.ts'
import type { AccessRule } from '../../../src/domain/policy/policy.ts'
import { allow, anyOf, ask, deny, identity, matching, policy, upstream } from '../policy-fixtures.ts'

const agents = matching({ role: anyOf('agent') })
const nobody = matching({ role: anyOf('ghost') })
const restricted = matching({ classification: { kind: 'level', atLeast: 3, atMost: 3 } })

function decide(access: readonly AccessRule[], model = 'small', caller = identity()) {
  return decideAccess(policy({ access }), caller, { ...ask, model })
}

describe('access', () => {
  test('is refused when no rule allows it', () => {
    expect(decide([])).toMatchObject({ kind: 'refused', code: 'access_denied', reason: 'no_rule' })
    expect(decide([allow('ghosts', nobody)])).toMatchObject({ kind: 'refused', code: 'access_denied' })
  })

  test('is given by one rule that matches, and names the rule and the place', () => {
    expect(decide([allow('ghosts', nobody), allow('agents', agents, { models: ['sm*'] })])).toMatchObject({
      kind: 'allowed',
      rule: 'agents',
      target: { upstream: { name: 'sim' }, model: 'sim-small' },
    })
  })

  test('is refused by one rule that denies, however many allow', () => {
    const refusal = decide([allow('a'), deny('no', agents, { message: 'Not you.' }), allow('z')])
    expect(refusal).toMatchObject({ code: 'access_denied', message: 'Not you.', reason: 'denied_by:no' })
  })

  test('refused for the classification says so', () => {
    const caller = identity({ classification: 'restricted' })
    expect(decide([allow('a'), deny('no', restricted)], 'small', caller)).toMatchObject({
      code: 'classification_denied',
    })
    expect(decide([allow('a'), deny('no', restricted)])).toMatchObject({ kind: 'allowed' })
  })

  test('with an unknown classification is refused, never taken for the default', () => {
    const caller = identity({ classification: 'top-secret' })
    expect(decide([allow('a')], 'small', caller)).toMatchObject({
      code: 'classification_denied',
      reason: 'classification_unknown',
    })
    expect(modelsFor(policy(), caller)).toEqual([])
  })

  test('does not tell an unknown model from one that is not allowed or denied', () => {
    const shown = [
      decide([allow('a', [], { models: ['large'] })], 'small'),
      decide([allow('a')], 'small-not-there'),
      decide([allow('a'), deny('d', [], { models: ['small'] })], 'small'),
      decide([allow('a'), deny('d', [], { models: ['small'], message: 'Retired.' })], 'small'),
    ].map((refusal) => {
      if (refusal.kind !== 'refused') throw new Error('must be refused')
      return { ...refusal, message: refusal.message.replace('-not-there', ''), reason: '' }
    })
    expect(new Set(shown.map((refusal) => JSON.stringify(refusal))).size).toBe(1)
    expect(shown[0]).toMatchObject({ code: 'model_not_found', field: 'model' })
  })

  test('repeats only a bounded part of a long model name', () => {
    const refusal = decide([allow('a')], 'x'.repeat(10_000))
    expect(refusal.kind === 'refused' && refusal.message.length).toBeLessThan(250)
  })

  test('for another operation than the allowed ones is refused', () => {
    expect(decide([allow('a', [], { operations: ['embeddings'] })])).toMatchObject({
      code: 'access_denied',
      reason: 'operation_not_allowed',
    })
  })

  test('takes the largest output that any allowing rule gives', () => {
    const rules = [allow('b', [], { outputTokensMax: 100 }), allow('a', [], { outputTokensMax: 50 })]
    expect(decide(rules)).toMatchObject({ outputTokensMax: 100, rule: 'b' })
    expect(decide([...rules, allow('c')])).toMatchObject({ outputTokensMax: undefined, rule: 'c' })
    expect(decide([allow('n'), allow('m')])).toMatchObject({ rule: 'm' })
  })

  test('leads to places that speak the caller’s format, in the order of the policy', () => {
    const models = new Map([['small', 'real']])
    const upstreams = [
      upstream({ name: 'claude', provider: 'anthropic', models }),
      upstream({ name: 'first', provider: 'openai', models }),
      upstream({ name: 'other', provider: 'openai', models: new Map([['large', 'x']]) }),
      upstream({ name: 'sim', models }),
    ]
    const set = policy({ upstreams })
    const names = (family: 'openai' | 'anthropic') => {
      const access = decideAccess(set, identity(), { ...ask, family })
      return access.kind === 'allowed' ? access.candidates.map((candidate) => candidate.upstream.name) : access.code
    }
    expect(names('openai')).toEqual(['first', 'sim'])
    expect(names('anthropic')).toEqual(['claude', 'sim'])
    expect(decideAccess(set, identity(), { ...ask, family: 'anthropic', model: 'gone' })).toMatchObject({
      code: 'model_not_found',
    })
  })

  test('does not depend on the order of the rules', () => {
    const rules = [
      allow('a', agents, { models: ['small'], outputTokensMax: 10 }),
      allow('b', [], { models: ['s*'], outputTokensMax: 20 }),
      allow('c', nobody),
      deny('d', restricted),
      deny('e', [], { models: ['large'] }),
      deny('f', restricted, { message: 'Never.' }),
    ]
    const model = fc.constantFrom('small', 'large', 'none')
    const level = fc.constantFrom('internal', 'restricted', 'odd')
    fc.assert(
      fc.property(fc.shuffledSubarray(rules, { minLength: 6 }), model, level, (shuffled, name, classification) => {
        const caller = identity({ classification })
        expect(decide(shuffled, name, caller)).toEqual(decide(rules, name, caller))
      }),
      { numRuns: 200 },
    )
  })

  test('lists exactly the models it would give', () => {
    const set = policy({
      access: [
        allow('a', agents, { models: ['small', 'claude'] }),
        deny('d', [], { models: ['sm*'] }),
        allow('b', [], { models: ['large'] }),
      ],
      upstreams: [upstream(), upstream({ name: 'c', provider: 'anthropic', models: new Map([['claude', 'x']]) })],
    })
    expect(modelsFor(set, identity())).toEqual(['claude', 'large'])
    expect(modelsFor(set, identity(), 'openai')).toEqual(['large'])
    for (const model of ['small', 'large', 'claude', 'none']) {
      const allowed = decideAccess(set, identity(), { ...ask, model }).kind === 'allowed'
      expect(modelsFor(set, identity(), 'openai').includes(model)).toBe(allowed)
    }
    expect(modelsFor(policy({ access: [allow('a'), deny('all')] }), identity())).toEqual([])
  })
})
