import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { PlannedCharge } from '../../../src/domain/ledger/charges.ts'
import { planCharges } from '../../../src/domain/ledger/charges.ts'
import { toNanoUsd } from '../../../src/domain/prices/money.ts'
import type { BudgetRule, LimitRule } from '../../../src/domain/policy/policy.ts'
import type { Shortfall } from '../../../src/domain/ledger/reservation.ts'
import { HELD_RETRY_MS, refuseForShortfalls } from '../../../src/domain/ledger/shortfall.ts'
import { ask, budget, estimate, identity, limit, NOW, policy, target } from '../policy-fixtures.ts'

const USD = 1_000_000_000

function planned(rules: { limits?: LimitRule[]; budgets?: BudgetRule[] }): readonly PlannedCharge[] {
  const plan = planCharges(policy(rules), identity(), ask, target, estimate(), NOW)
  if (plan.kind === 'refused') throw new Error(plan.message)
  return plan.charges
}

type State = { readonly limit: number; readonly settled: number; readonly held: number }

function short(index: number, state: State, retryAfterMs: number | null = null): Shortfall {
  return { index, state, retryAfterMs }
}

const months = planned({ budgets: [budget()] })
const rates = planned({ limits: [limit()] })

describe('a refusal for want of room', () => {
  test('of a spent budget says what is used, held and needed, and when it resets in its own zone', () => {
    const refusal = refuseForShortfalls(
      months,
      [short(0, { limit: 25 * USD, settled: 12.3 * USD, held: 1.2 * USD })],
      NOW,
    )
    expect(refusal).toEqual({
      kind: 'refused',
      code: 'budget_exhausted',
      message:
        'Budget team-month (tenant,team = acme,research): 12.30 of 25.00 USD used, 1.20 held, this call may cost 14.00. ' +
        'Resets 2026-12-01T00:00:00+01:00.',
      field: undefined,
      retryAfterMs: Date.parse('2026-11-30T23:00:00Z') - NOW,
      limit: {
        rule: 'team-month',
        dimension: 'tenant,team',
        subject: 'acme,research',
        unit: 'usd',
        limit: '25.00',
        used: '12.30',
        held: '1.20',
        needed: '14.00',
        resetsAt: '2026-12-01T00:00:00+01:00',
      },
      reason: undefined,
      also: [],
    })
  })

  test('of a budget that only calls in flight hold invites a try soon', () => {
    const refusal = refuseForShortfalls(months, [short(0, { limit: 25 * USD, settled: 11 * USD, held: 1 })], NOW)
    expect(refusal).toMatchObject({ code: 'budget_held', retryAfterMs: HELD_RETRY_MS })
  })

  test('of a budget smaller than the call says that it never fits', () => {
    const refusal = refuseForShortfalls(months, [short(0, { limit: 13 * USD, settled: 0, held: 0 })], NOW)
    expect(refusal).toMatchObject({ code: 'never_fits', retryAfterMs: undefined })
    expect(refusal.message).toContain('never fits')
  })

  test('goes by the limit that is in force in the ledger, not by the one that was planned with', () => {
    const [charge] = months
    const lowered = refuseForShortfalls(months, [short(0, { limit: 5 * USD, settled: 0, held: 0 })], NOW)
    expect(charge?.accumulator.limit).toBe(25 * USD)
    expect(lowered).toMatchObject({ code: 'never_fits', limit: { limit: '5.00' } })
  })

  test('of a lifetime does not promise a reset', () => {
    const charges = planned({ budgets: [budget({ period: 'lifetime' })] })
    const refusal = refuseForShortfalls(charges, [short(0, { limit: 25 * USD, settled: 20 * USD, held: 0 })], NOW)
    expect(refusal).toMatchObject({ code: 'budget_exhausted', retryAfterMs: undefined, limit: { resetsAt: undefined } })
    expect(refusal.message).toContain('does not reset')
  })

  test('of a rate says when to try again', () => {
    const refusal = refuseForShortfalls(rates, [short(0, { limit: 20, settled: 19.4, held: 0 }, 1_234)], NOW)
    expect(refusal).toMatchObject({ code: 'rate_limited', retryAfterMs: 1_234, limit: { used: '20', needed: '1' } })
    expect(refusal.message).toBe(
      'Limit pace (tenant,agent = acme,bot): 20 of 20 requests at once (60 in 60 s) used, this call needs 1. Try again in 1.3 s.',
    )
  })

  test('of a fixed window waits for its end, or shortly when only calls in flight hold it', () => {
    const charges = planned({ limits: [limit({ shape: { kind: 'fixed', amount: 5, periodMs: 3_600_000 } })] })
    const spent = refuseForShortfalls(charges, [short(0, { limit: 5, settled: 5, held: 0 })], NOW)
    expect(spent).toMatchObject({ code: 'rate_limited', retryAfterMs: 3_600_000 })
    const held = refuseForShortfalls(charges, [short(0, { limit: 5, settled: 4, held: 1 })], NOW)
    expect(held).toMatchObject({ code: 'rate_limited', retryAfterMs: HELD_RETRY_MS })
  })

  test('of places counts the calls in flight', () => {
    const charges = planned({ limits: [limit({ unit: 'concurrent', shape: { kind: 'concurrent', amount: 8 } })] })
    const refusal = refuseForShortfalls(charges, [short(0, { limit: 8, settled: 0, held: 8 })], NOW)
    expect(refusal).toMatchObject({ code: 'concurrency_limited', limit: { held: '8', unit: 'concurrent' } })
    expect(refusal.message).toContain('8 of 8 calls in flight')
  })

  test('adds the author’s own message', () => {
    const charges = planned({ limits: [limit({ message: 'Ask Bob.' })] })
    expect(refuseForShortfalls(charges, [short(0, { limit: 1, settled: 1, held: 0 }, 5)], NOW).message).toMatch(
      /Ask Bob\.$/,
    )
  })
})

describe('of several rules without room', () => {
  const charges = planned({
    limits: [
      limit({ name: 'slow' }),
      limit({ name: 'slower' }),
      limit({ name: 'places', unit: 'concurrent', shape: { kind: 'concurrent', amount: 1 } }),
    ],
    budgets: [
      budget({ name: 'month' }),
      budget({ name: 'ever', period: 'lifetime' }),
      budget({ name: 'tokens', unit: 'tokens', amount: 5_000 }),
      budget({ name: 'lasting', unit: 'tokens', amount: 5_000, period: 'lifetime' }),
    ],
  })
  const slow = short(0, { limit: 20, settled: 20, held: 0 }, 1_000)
  const slower = short(1, { limit: 20, settled: 20, held: 0 }, 50_000)
  const places = short(2, { limit: 1, settled: 0, held: 1 })
  const month = short(3, { limit: 25 * USD, settled: 24 * USD, held: 0 })
  const monthHeld = short(3, { limit: 25 * USD, settled: 0, held: 24 * USD })
  const ever = short(4, { limit: 25 * USD, settled: 24 * USD, held: 0 })
  const lasting = short(6, { limit: 5_000, settled: 4_999, held: 0 })
  const tokens = short(5, { limit: 5_000, settled: 4_999, held: 0 })

  const answer = (...shortfalls: Shortfall[]) => {
    const refusal = refuseForShortfalls(charges, shortfalls, NOW)
    return { code: refusal.code, rule: refusal.limit?.rule, also: refusal.also }
  }

  test('a spent budget is named before any rate', () => {
    expect(answer(slower, month)).toEqual({ code: 'budget_exhausted', rule: 'month', also: ['slower'] })
  })

  test('a spent budget is named before a rate that would take longer', () => {
    const brief = planned({ limits: [limit()], budgets: [budget({ period: 'minute' })] })
    const shorts = [
      short(0, { limit: 20, settled: 20, held: 0 }, 600_000),
      short(1, { limit: 25 * USD, settled: 24 * USD, held: 0 }),
    ]
    expect(refuseForShortfalls(brief, shorts, NOW)).toMatchObject({ code: 'budget_exhausted', also: ['pace'] })
  })

  test('money is named before tokens, the longer wait before the shorter', () => {
    expect(answer(tokens, month)).toMatchObject({ rule: 'month' })
    expect(answer(lasting, month)).toMatchObject({ rule: 'month' })
    expect(answer(month, ever)).toMatchObject({ rule: 'ever' })
    expect(answer(slow, places, slower)).toMatchObject({ code: 'rate_limited', rule: 'slower' })
  })

  test('a budget that is only held gives way to a rate with a longer wait', () => {
    expect(answer(monthHeld, slower)).toEqual({ code: 'rate_limited', rule: 'slower', also: ['month'] })
  })

  test('the narrowest of equals is named', () => {
    const small = short(4, { limit: 1 * USD, settled: 0, held: 0 })
    const large = short(3, { limit: 2 * USD, settled: 0, held: 0 })
    expect(answer(large, small)).toMatchObject({ code: 'never_fits', rule: 'ever' })
  })

  test('the answer does not depend on their order', () => {
    const all = [slow, slower, places, month, ever, tokens]
    fc.assert(
      fc.property(fc.shuffledSubarray(all, { minLength: 1 }), (some) => {
        const sorted = [...some].toSorted((left, right) => left.index - right.index)
        expect(answer(...some).rule).toBe(answer(...sorted).rule)
      }),
      { numRuns: 100 },
    )
  })
})

test('amounts are written exactly, whatever they are', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 10 ** 15 }), (settled) => {
      const refusal = refuseForShortfalls(months, [short(0, { limit: Number.MAX_SAFE_INTEGER, settled, held: 0 })], NOW)
      const [whole = '', fraction = ''] = (refusal.limit?.used ?? '').split('.')
      expect(fraction.length).toBeGreaterThanOrEqual(2)
      expect(toNanoUsd(BigInt(whole) * 1_000_000_000n + BigInt(fraction.padEnd(9, '0')))).toBe(BigInt(settled))
    }),
    { numRuns: 200 },
  )
})
