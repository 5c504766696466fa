import { describe, expect, test } from 'vitest'
import { assertReservation } from '../../../src/domain/ledger/accumulator-check.ts'
import { actualCharges, planCharges, standingCharges } from '../../../src/domain/ledger/charges.ts'
import type { PlannedCharge } from '../../../src/domain/ledger/charges.ts'
import type { Identity } from '../../../src/domain/identity.ts'
import { toNanoUsd } from '../../../src/domain/prices/money.ts'
import type { Policy, RunRule } from '../../../src/domain/policy/policy.ts'
import { nameRun } from '../../../src/domain/ledger/run.ts'
import { HELD_RETRY_MS, refuseForShortfalls } from '../../../src/domain/ledger/shortfall.ts'
import { ask, budget, estimate, identity, limit, NOW, policy, run, target } from '../policy-fixtures.ts'

const SECOND = 1_000
const WEEK = 7 * 86_400_000

function plan(set: Policy, caller: Identity): readonly PlannedCharge[] {
  const planned = planCharges(set, caller, ask, target, estimate(), NOW)
  if (planned.kind === 'refused') throw new Error(planned.message)
  assertReservation({ id: 'call.1', charges: planned.charges, leaseMs: 1_000, owner: 'test/audit/log' })
  return planned.charges
}

function inRun(path: string, caller: Identity = identity()): Identity {
  const found = nameRun(caller, path, true)
  if (found.kind !== 'named') throw new Error(found.problem)
  return found.identity
}

const UNITS = ['requests', 'tokens', 'usd', 'ms'] as const

const everything = (details: Partial<RunRule> = {}) =>
  policy({ runs: UNITS.map((unit) => run({ unit, id: `R${unit}`, amount: 60 * SECOND, ...details })) })

describe('a call of a run', () => {
  test('holds the most it can take of the calls, tokens and money of the run, and begins its time', () => {
    const budgetOfRun = { kind: 'budget', window: null, keptMs: WEEK }
    expect(
      plan(everything(), inRun('r')).map(({ unit, amount, accumulator: { shape } }) => [unit, amount, shape]),
    ).toEqual([
      ['requests', 1, budgetOfRun],
      ['tokens', 1_400, budgetOfRun],
      ['usd', 14_000_000_000, budgetOfRun],
      ['ms', 1, { kind: 'span', keptMs: WEEK }],
    ])
  })

  test('settles at what it took; a call stays a call, and time is not given back', () => {
    const actual = { costNanoUsd: toNanoUsd(5n), inputTokens: 3, outputTokens: 4 }
    expect(actualCharges(plan(everything(), inRun('r')), actual)).toEqual([1, 7, 5, 1])
  })

  test('counts for each parent, under keys that no other path has', () => {
    const set = policy({ runs: [run({ unit: 'requests' })] })
    const charges = plan(set, inRun('a/b/c'))
    expect(charges.map(({ subject }) => subject)).toEqual(['acme,bot,a', 'acme,bot,a/b', 'acme,bot,a/b/c'])
    const [parent] = plan(set, inRun('a'))
    expect(charges[0]?.accumulator).toEqual(parent?.accumulator)
    const keys = ['a', 'a/b', 'b', 'a/b/c', 'c', 'ab'].map((path) => plan(set, inRun(path)).at(-1)?.accumulator.key)
    expect(new Set(keys).size).toBe(keys.length)
    expect(new Set(charges.map(({ accumulator }) => accumulator.shard)).size).toBe(1)
  })

  test('of the deepest path with every amount stays within what one decision may touch', () => {
    expect(plan(everything(), inRun('a/b/c/d/e/f/g/h'))).toHaveLength(32)
  })

  test('of the same name by another agent or tenant is another run', () => {
    const set = policy({ runs: [run({ unit: 'requests' })] })
    const keyOf = (caller: Identity) => plan(set, inRun('r', caller))[0]?.accumulator.key
    const callers = [
      identity({ tenant: 'acme', agent: 'bot' }),
      identity({ tenant: 'acme', agent: 'bot2' }),
      identity({ tenant: 'umbrella', agent: 'bot' }),
    ]
    expect(new Set(callers.map(keyOf)).size).toBe(3)
  })

  test('is refused when it names no run, and the answer says where to name one', () => {
    const refused = planCharges(everything(), identity(), ask, target, estimate(), NOW)
    expect(refused).toMatchObject({ code: 'identity_incomplete', reason: 'missing_dimension:run' })
    expect(refused).toMatchObject({ message: expect.stringContaining('x-tollgate-run') })
  })

  test('is charged by limits and budgets that count by run, too', () => {
    const key = ['tenant', 'agent', 'run'] as const
    const set = policy({ limits: [limit({ key })], budgets: [budget({ key, unit: 'requests', amount: 3 })] })
    expect(plan(set, inRun('a/b')).map(({ rule, amount, subject }) => [rule, amount, subject])).toEqual([
      ['pace', 1, 'acme,bot,a'],
      ['pace', 1, 'acme,bot,a/b'],
      ['team-month', 1, 'acme,bot,a'],
      ['team-month', 1, 'acme,bot,a/b'],
    ])
  })

  test('what is left is told of the runs that the caller names, and of none when it names none', () => {
    const set = policy({ runs: [run({ unit: 'requests' })], budgets: [budget()] })
    const rules = (caller: Identity) => standingCharges(set, caller, NOW).map(({ rule, subject }) => [rule, subject])
    expect(rules(identity())).toEqual([['team-month', 'acme,research']])
    expect(rules(inRun('a/b'))).toEqual([
      ['team-month', 'acme,research'],
      ['agent-run', 'acme,bot,a'],
      ['agent-run', 'acme,bot,a/b'],
    ])
  })
})

describe('a refusal of a run', () => {
  const short = (unit: RunRule['unit'], states: readonly { limit: number; settled: number; held: number }[]) => {
    const charges = plan(policy({ runs: [run({ unit, amount: 7 })] }), inRun('a/b'))
    const shortfalls = states.map((state, index) => ({ index, state, retryAfterMs: null }))
    return refuseForShortfalls(charges, shortfalls, NOW)
  }

  test('names the run, what it used and that it does not reset, and is not to be tried again', () => {
    expect(short('requests', [{ limit: 7, settled: 7, held: 0 }])).toMatchObject({
      code: 'budget_exhausted',
      message:
        'Budget agent-run (tenant,agent,run = acme,bot,a): 7 of 7 requests used, this call needs 1. It does not reset.',
      retryAfterMs: undefined,
      limit: { rule: 'agent-run', subject: 'acme,bot,a', unit: 'requests', limit: '7', used: '7', resetsAt: undefined },
    })
  })

  test('names the parent when both are short', () => {
    const state = { limit: 7, settled: 7, held: 0 }
    expect(short('requests', [state, state]).limit?.subject).toBe('acme,bot,a')
  })

  test('by calls in flight invites a try soon', () => {
    const refused = short('requests', [{ limit: 7, settled: 5, held: 2 }])
    expect(refused).toMatchObject({ code: 'budget_held', retryAfterMs: HELD_RETRY_MS })
  })

  test('that is over says how long it may last', () => {
    const refused = short('ms', [{ limit: 60 * SECOND, settled: 75_250, held: 0 }])
    expect(refused).toMatchObject({ code: 'budget_exhausted', retryAfterMs: undefined, limit: { unit: 'ms' } })
    expect(refused.message).toBe(
      'Budget agent-run (tenant,agent,run = acme,bot,a): the run is over, 75.3 s of its 60 s have passed. It does not reset.',
    )
  })
})
