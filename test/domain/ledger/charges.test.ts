import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { assertReservation } from '../../../src/domain/ledger/accumulator-check.ts'
import { actualCharges, planCharges, standingCharges, type PlannedCharge } from '../../../src/domain/ledger/charges.ts'
import type { Estimate } from '../../../src/domain/prices/estimate.ts'
import type { Identity } from '../../../src/domain/identity.ts'
import { AMOUNT_MAX, toNanoUsd } from '../../../src/domain/prices/money.ts'
import type { Calendar, Policy } from '../../../src/domain/policy/policy.ts'
import { encodeValue, joinSubject, shardOf } from '../../../src/domain/policy/subject.ts'
import { anyOf, ask, budget, estimate, identity, limit, matching, NOW, policy, target } from '../policy-fixtures.ts'

function plan(set: Policy, caller: Identity = identity(), bound: Estimate = estimate()): readonly PlannedCharge[] {
  const planned = planCharges(set, caller, ask, target, bound, NOW)
  if (planned.kind === 'refused') throw new Error(planned.message)
  assertReservation({ id: 'call.1', charges: planned.charges, leaseMs: 1_000, owner: 'test/audit/log' })
  return planned.charges
}

const refusal = (set: Policy, caller: Identity) => planCharges(set, caller, ask, target, estimate(), NOW)

describe('a plan', () => {
  test('holds every limit and budget that matches, whatever else does', () => {
    const set = policy({
      limits: [
        limit({ name: 'a' }),
        limit({ name: 'b', match: matching({ agent: anyOf('bot') }) }),
        limit({ name: 'c', match: matching({ agent: anyOf('other') }) }),
        limit({ name: 'd', match: matching({ model: anyOf('small'), upstream: anyOf('sim') }) }),
      ],
      budgets: [budget({ name: 'e' }), budget({ name: 'f', match: matching({ model: anyOf('large') }) })],
    })
    expect(plan(set).map(({ rule }) => rule)).toEqual(['a', 'b', 'd', 'e'])
  })

  test('charges exactly the rules whose dimensions match, for every subset of them', () => {
    const dimensions = ['tenant', 'team', 'user', 'agent', 'tier', 'lane'] as const
    const limits = dimensions.map((dimension) =>
      limit({ name: dimension, key: [dimension], match: matching({ [dimension]: anyOf('yes') }) }),
    )
    fc.assert(
      fc.property(fc.subarray([...dimensions]), (given) => {
        const caller = identity(Object.fromEntries(given.map((dimension) => [dimension, 'yes'])))
        expect(plan(policy({ limits }), caller).map(({ rule }) => rule)).toEqual(given)
      }),
      { numRuns: 64 },
    )
  })

  test('refuses a caller that lacks a value which a matching rule counts by', () => {
    const set = policy({ limits: [limit({ key: ['tenant', 'agent'] })] })
    expect(refusal(set, identity({ tenant: 'acme' }))).toMatchObject({
      kind: 'refused',
      code: 'identity_incomplete',
      reason: 'missing_dimension:agent',
    })
    const byRole = policy({ budgets: [budget({ key: ['role'] })], knownRoles: new Set(['agent']) })
    expect(refusal(byRole, identity({}, { role: [] }))).toMatchObject({ reason: 'missing_dimension:role' })
    expect(refusal(byRole, identity({}, { role: ['stranger'] }))).toMatchObject({ reason: 'missing_dimension:role' })
  })

  test('counts a caller without a classification at the default level', () => {
    const [charge] = plan(policy({ limits: [limit({ key: ['tenant', 'classification'] })] }))
    expect(charge).toMatchObject({ dimension: 'tenant,classification', subject: 'acme,internal' })
  })

  test('draws expected values for rates and holds upper bounds for everything with a window', () => {
    const sliding = { kind: 'sliding', amount: 1_000, periodMs: 60_000 } as const
    const set = policy({
      limits: [
        limit({ name: 'calls' }),
        limit({ name: 'tokens', unit: 'tokens', shape: sliding }),
        limit({ name: 'input', unit: 'input_tokens', shape: sliding }),
        limit({
          name: 'output',
          unit: 'output_tokens',
          shape: { kind: 'gcra', amount: 90, periodMs: 1_000, burst: 90 },
        }),
        limit({ name: 'quota', unit: 'tokens', shape: { kind: 'fixed', amount: 5_000, periodMs: 86_400_000 } }),
        limit({ name: 'places', unit: 'concurrent', shape: { kind: 'concurrent', amount: 4 } }),
      ],
      budgets: [
        budget({ name: 'money' }),
        budget({ name: 'volume', unit: 'tokens', amount: 10_000, period: 'lifetime' }),
      ],
    })
    expect(plan(set).map(({ rule, amount, basis }) => [rule, amount, basis])).toEqual([
      ['calls', 1, 'expected'],
      ['tokens', 150, 'expected'],
      ['input', 100, 'expected'],
      ['output', 50, 'expected'],
      ['quota', 1_400, 'upper'],
      ['places', 1, 'expected'],
      ['money', 14_000_000_000, 'upper'],
      ['volume', 1_400, 'upper'],
    ])
  })

  test('gives each kind of rule its accumulator', () => {
    const set = policy({
      limits: [
        limit({ name: 'calls' }),
        limit({ name: 'short', unit: 'tokens', shape: { kind: 'sliding', amount: 10, periodMs: 60_000 } }),
        limit({ name: 'odd', unit: 'tokens', shape: { kind: 'sliding', amount: 10, periodMs: 1_000 } }),
        limit({ name: 'long', unit: 'tokens', shape: { kind: 'sliding', amount: 10, periodMs: 3_600_000 } }),
        limit({ name: 'quota', shape: { kind: 'fixed', amount: 5, periodMs: 86_400_000 } }),
        limit({ name: 'places', unit: 'concurrent', shape: { kind: 'concurrent', amount: 4 } }),
      ],
      budgets: [budget(), budget({ name: 'ever', period: 'lifetime' })],
    })
    const day = { startMs: Date.parse('2026-11-20T00:00:00Z'), endMs: Date.parse('2026-11-21T00:00:00Z') }
    const month = { startMs: Date.parse('2026-10-31T23:00:00Z'), endMs: Date.parse('2026-11-30T23:00:00Z') }
    expect(
      plan(set).map(({ accumulator: { shape, limit: most, limitVersion } }) => [shape, most, limitVersion]),
    ).toEqual([
      [{ kind: 'bucket', amount: 60, periodMs: 60_000 }, 20, 7],
      [{ kind: 'sliding', windowMs: 60_000, slots: 12 }, 10, 7],
      [{ kind: 'sliding', windowMs: 1_000, slots: 10 }, 10, 7],
      [{ kind: 'sliding', windowMs: 3_600_000, slots: 30 }, 10, 7],
      [{ kind: 'budget', window: day }, 5, 7],
      [{ kind: 'concurrency' }, 4, 7],
      [{ kind: 'budget', window: month }, 25_000_000_000, 7],
      [{ kind: 'budget', window: null }, 25_000_000_000, 7],
    ])
  })

  test('of one caller counts in the window of its own instant, whichever was planned before', () => {
    const set = policy({
      limits: [limit({ name: 'rate' })],
      budgets: [budget({ name: 'hour', period: 'hour' }), budget({ name: 'month' }), budget({ period: 'lifetime' })],
    })
    const caller = identity()
    const instants = [NOW, NOW + 3_600_000, NOW - 1, NOW + 40 * 86_400_000, NOW, NOW + 1]
    for (const nowMs of instants) {
      const planned = planCharges(set, caller, ask, target, estimate(), nowMs)
      const fresh = planCharges(set, identity(), ask, target, estimate(), nowMs)
      expect(planned).toEqual(fresh)
    }
    const hours = instants.map((nowMs) => standingCharges(set, caller, nowMs).map(({ accumulator }) => accumulator.key))
    expect(new Set(hours.flat()).size).toBe(2 + 4 + 2)
  })

  test('names the window in the key and the reset, so that a new window is a new counter', () => {
    const set = policy({ budgets: [budget({ id: 'AAAAAAAA' })] })
    const [charge] = plan(set)
    expect(charge?.accumulator.key).toBe('AAAAAAAA:acme|research:2026-11')
    expect(charge?.resetsAtMs).toBe(Date.parse('2026-11-30T23:00:00Z'))
    const later = planCharges(set, identity(), ask, target, estimate(), NOW + 15 * 86_400_000)
    expect(later.kind === 'planned' && later.charges[0]?.accumulator.key).not.toBe(charge?.accumulator.key)
  })

  test('goes on counting in the window that runs when its zone, time of day or weekday moves', () => {
    const charge = (changes: Partial<Calendar>) => plan(policy({ budgets: [budget(changes)] }))[0]
    const moved = [
      {},
      { timeZone: 'Asia/Tokyo' },
      { atMinutes: 360 },
      { timeZone: 'America/New_York', atMinutes: 1_380 },
    ]
    const charges = moved.map(charge)
    expect(new Set(charges.map((one) => one?.accumulator.key)).size).toBe(1)
    expect(new Set(charges.map((one) => one?.resetsAtMs)).size).toBe(moved.length)
    const weeks = [0, 1, 6].map((weekStart) => charge({ period: 'week', weekStart }))
    expect(new Set(weeks.map((one) => one?.accumulator.key)).size).toBe(1)
    expect(new Set(weeks.map((one) => one?.resetsAtMs)).size).toBe(3)
  })

  test('does not name the amount in the key, so that raising a limit keeps what was counted', () => {
    const key = (amount: number) => plan(policy({ budgets: [budget({ amount })] }))[0]?.accumulator.key
    expect(key(1)).toBe(key(2))
  })

  test('cuts a guessed length of the answer to what a rate can give, but never what is sent', () => {
    const sliding = (amount: number) => ({ kind: 'sliding', amount, periodMs: 60_000 }) as const
    const set = policy({
      limits: [
        limit({ name: 'output', unit: 'output_tokens', shape: sliding(9) }),
        limit({ name: 'both', unit: 'tokens', shape: sliding(120) }),
        limit({ name: 'small', unit: 'tokens', shape: sliding(80) }),
        limit({ name: 'input', unit: 'input_tokens', shape: sliding(80) }),
      ],
    })
    expect(plan(set).map(({ amount }) => amount)).toEqual([9, 120, 100, 100])
  })

  test('multiplies what a weighted limit draws by the level, but not places and not money', () => {
    const set = policy({
      limits: [
        limit({ name: 'calls', weighByClassification: true }),
        limit({
          name: 'tokens',
          unit: 'tokens',
          shape: { kind: 'sliding', amount: 10_000, periodMs: 60_000 },
          weighByClassification: true,
        }),
        limit({
          name: 'places',
          unit: 'concurrent',
          shape: { kind: 'concurrent', amount: 4 },
          weighByClassification: true,
        }),
      ],
      budgets: [budget()],
    })
    const restricted = identity({ ...identity().single, classification: 'restricted' })
    const charges = plan(set, restricted)
    expect(charges.map(({ amount }) => amount)).toEqual([5, 750, 1, 14_000_000_000])
    expect(charges.map(({ weight }) => weight)).toEqual([5, 5, 1, 1])
    const actual = { costNanoUsd: toNanoUsd(3n), inputTokens: 10, outputTokens: 20 }
    expect(actualCharges(charges, actual)).toEqual([5, 150, 1, 3])
  })

  test('saturates instead of overflowing what a counter holds', () => {
    const huge = estimate({ cost: { expected: toNanoUsd(1n), upper: toNanoUsd(10n ** 30n) } })
    const set = policy({ budgets: [budget()], limits: [limit({ unit: 'tokens', weighByClassification: true })] })
    const caller = identity({ ...identity().single, classification: 'restricted' })
    const tokens = { ...huge, inputTokens: { expected: AMOUNT_MAX, upper: AMOUNT_MAX } }
    expect(plan(set, caller, tokens).map(({ amount }) => amount)).toEqual([AMOUNT_MAX, AMOUNT_MAX])
  })

  test('weighs an unknown level as the heaviest', () => {
    const set = policy({ limits: [limit({ weighByClassification: true })] })
    expect(plan(set, identity({ ...identity().single, classification: 'odd' }))[0]?.amount).toBe(5)
  })

  test('follows the policy of its call, not the one under which the caller was seen before', () => {
    const caller = identity()
    const rules = (set: Policy) => plan(set, caller).map(({ rule }) => rule)
    const [first, second] = [policy({ limits: [limit({ name: 'old' })] }), policy({ limits: [limit({ name: 'new' })] })]
    expect([rules(first), rules(second), rules(first)]).toEqual([['old'], ['new'], ['old']])
  })

  test('is worked out anew for each request of one caller', () => {
    const set = policy({
      limits: [
        limit({ name: 'each', key: ['tenant', 'model'] }),
        limit({ name: 'large-only', match: matching({ model: anyOf('large') }) }),
        limit({ name: 'large-needs-tier', key: ['tier'], match: matching({ model: anyOf('large') }) }),
      ],
    })
    const caller = identity()
    expect(plan(set, caller).map(({ subject }) => subject)).toEqual(['acme,small'])
    const large = planCharges(set, caller, { ...ask, model: 'large' }, target, estimate(), NOW)
    expect(large).toMatchObject({ kind: 'refused', reason: 'missing_dimension:tier' })
    expect(plan(set, caller)).toHaveLength(1)
  })

  test('keeps the author’s message for the refusal', () => {
    expect(plan(policy({ limits: [limit({ message: 'Ask Bob.' })] }))[0]?.message).toBe('Ask Bob.')
  })
})

describe('a rule keyed by role', () => {
  const roles = (...role: string[]) => identity(identity().single, { role })
  const subjects = (set: Policy, caller: Identity) => plan(set, caller).map(({ subject }) => subject)

  test('charges each role of the caller that its own match names', () => {
    const rule = limit({ key: ['tenant', 'role'], match: matching({ role: anyOf('a', 'b', 'c') }) })
    const set = policy({ limits: [rule], knownRoles: new Set(['a', 'b', 'c', 'd']) })
    expect(subjects(set, roles('d', 'c', 'a', 'x'))).toEqual(['acme,c', 'acme,a'])
  })

  test('charges, without such a match, each role that any rule names', () => {
    const set = policy({ limits: [limit({ key: ['role'] })], knownRoles: new Set(['a', 'd']) })
    expect(subjects(set, roles('d', 'c', 'a'))).toEqual(['d', 'a'])
  })

  test('charges a role that the token repeats once', () => {
    const set = policy({ limits: [limit({ key: ['role'] })], knownRoles: new Set(['a']) })
    expect(subjects(set, roles('a', 'a'))).toEqual(['a'])
  })

  test('does the same for groups, and every combination when it has both', () => {
    const set = policy({
      limits: [limit({ key: ['role', 'group'] })],
      knownRoles: new Set(['a', 'b']),
      knownGroups: new Set(['g', 'h']),
    })
    const caller = identity({}, { role: ['a', 'b'], group: ['g', 'h', 'i'] })
    expect(subjects(set, caller)).toEqual(['a,g', 'a,h', 'b,g', 'b,h'])
  })

  test('refuses a caller with more than eight of them', () => {
    const many = Array.from({ length: 9 }, (_, index) => `r${String(index)}`)
    const set = policy({ limits: [limit({ key: ['role'] })], knownRoles: new Set(many) })
    expect(subjects(set, roles(...many.slice(1)))).toHaveLength(8)
    expect(refusal(set, roles(...many))).toMatchObject({ code: 'access_denied', reason: 'too_many:role' })
  })
})

describe('a settlement', () => {
  test('replaces money and tokens by what they were and keeps calls and places', () => {
    const set = policy({
      limits: [
        limit({ name: 'calls' }),
        limit({ name: 'all', unit: 'tokens' }),
        limit({ name: 'in', unit: 'input_tokens' }),
        limit({ name: 'out', unit: 'output_tokens' }),
        limit({ name: 'places', unit: 'concurrent', shape: { kind: 'concurrent', amount: 4 } }),
      ],
      budgets: [budget()],
    })
    const actual = { costNanoUsd: toNanoUsd(123n), inputTokens: 7, outputTokens: 5 }
    expect(actualCharges(plan(set), actual)).toEqual([1, 12, 7, 5, 1, 123])
  })
})

describe('standing charges', () => {
  test('are the accumulators of the caller, with nothing taken from them', () => {
    const set = policy({
      limits: [
        limit({ name: 'mine' }),
        limit({ name: 'theirs', match: matching({ agent: anyOf('other') }) }),
        limit({ name: 'by-model', key: ['model'] }),
        limit({ name: 'needs-tier', key: ['tier'] }),
      ],
      budgets: [budget({ name: 'of-a-model', match: matching({ model: anyOf('large') }) })],
    })
    const standing = standingCharges(set, identity(), NOW)
    expect(standing.map(({ rule, amount }) => [rule, amount])).toEqual([
      ['mine', 0],
      ['of-a-model', 0],
    ])
    expect(standing[0]?.accumulator).toEqual(plan(policy({ limits: [limit({ name: 'mine' })] }))[0]?.accumulator)
  })
})

describe('a subject', () => {
  const value = fc.oneof(
    fc.string({ minLength: 1, maxLength: 60 }),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 12 }),
    fc.string({ unit: fc.constantFrom('|', '#', '%', ':', 'a', '7', 'C', '\ud800'), minLength: 1, maxLength: 6 }),
  )

  test('is different for different combinations of values', () => {
    const values = fc.tuple(value, value)
    fc.assert(
      fc.property(values, values, (left, right) => {
        const same = left[0] === right[0] && left[1] === right[1]
        const [a, b] = [left, right].map((pair) => joinSubject(pair.map(encodeValue)))
        expect(a === b).toBe(same)
      }),
      { numRuns: 3_000 },
    )
    expect(joinSubject(['a|b', 'c'].map(encodeValue))).not.toBe(joinSubject(['a', 'b|c'].map(encodeValue)))
    expect(encodeValue(encodeValue('x'.repeat(80)))).not.toBe(encodeValue('x'.repeat(80)))
    expect(encodeValue('\ud800')).not.toBe(encodeValue('\ud801'))
    expect(encodeValue('%7C')).not.toBe(encodeValue('|'))
  })

  test('is short plain text without separators', () => {
    fc.assert(
      fc.property(value, (text) => {
        const encoded = encodeValue(text)
        expect(encoded.length).toBeLessThanOrEqual(40)
        expect(encoded).toMatch(/^#?[A-Za-z0-9._@%!~*'()-]+$/)
      }),
      { numRuns: 1_000 },
    )
  })

  test('of one tenant has one shard, from 0 to 1023', () => {
    const limits = [limit({ name: 'a', key: ['agent', 'tenant'] }), limit({ name: 'b', key: ['tenant', 'user'] })]
    const shards = plan(policy({ limits, budgets: [budget()] })).map(({ accumulator }) => accumulator.shard)
    expect(new Set(shards)).toEqual(new Set([shardOf('acme')]))
  })

  test('spreads over the shards', () => {
    const used = new Map<number, number>()
    for (let index = 0; index < 20_000; index += 1) {
      const shard = shardOf(`tenant-${String(index)}`)
      used.set(shard, (used.get(shard) ?? 0) + 1)
    }
    expect(used.size).toBe(1_024)
    expect(Math.max(...used.values())).toBeLessThan(60)
  })

  test('of a rule without a tenant has the same shard for every tenant', () => {
    const shard = (tenant: string) => {
      const caller = identity({ tenant, agent: 'bot' })
      return plan(policy({ limits: [limit({ key: ['agent'] })] }), caller)[0]?.accumulator.shard
    }
    expect(shard('acme')).toBe(shard('other'))
  })
})
