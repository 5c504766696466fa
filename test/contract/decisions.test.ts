/** Decisions of the reserve step on real ledgers: a gateway whose clock is wrong, and every set of dimensions. */
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import type { Decision } from '../../src/domain/decision.ts'
import type { BudgetRule, LimitRule } from '../../src/domain/policy/policy.ts'
import { reserve } from '../../src/steps/reserve.ts'
import { budget, identity, limit } from '../domain/policy-fixtures.ts'
import { estimated, noRefinement, steps } from '../steps/fixtures.ts'
import { openMemory, openRedis } from '../support/ledgers.ts'
import type { VirtualLedger } from '../support/ledgers.ts'

const HOUR_MS = 3_600_000
const DIMENSIONS = ['tenant', 'team', 'user', 'agent', 'tier', 'lane'] as const
const caller = identity({ tenant: 'a', team: 'b', user: 'c', agent: 'd', tier: 'e', lane: 'f' })

interface Rules {
  readonly limits?: readonly LimitRule[]
  readonly budgets?: readonly BudgetRule[]
}

describe.each([
  ['memory', openMemory],
  ['Redis', openRedis],
] as const)('a decision on %s', (_, open) => {
  let under: VirtualLedger

  beforeAll(async () => {
    under = await open()
  })
  beforeEach(async () => under.clear())
  afterAll(async () => under[Symbol.asyncDispose]())

  /** By a gateway whose clock is ahead of the ledger's. */
  function decide({ limits = [], budgets = [] }: Rules, aheadMs = 0): Promise<Decision> {
    const clock = { nowMs: () => under.nowMs() + aheadMs }
    return reserve(estimated({ limits, budgets }, { identity: caller }), noRefinement, {
      ...steps(() => under.ledger),
      clock,
    })
  }

  const keysOf = (decision: Decision) => decision.facts.charges?.map(({ accumulator }) => accumulator.key)

  describe.each([
    ['ahead', 5 * HOUR_MS],
    ['behind', -5 * HOUR_MS],
    ['a day ahead', 26 * HOUR_MS],
    ['a millisecond behind', -1],
  ])('by a gateway whose clock is %s', (_name, aheadMs) => {
    const rules = {
      limits: [limit({ name: 'calls', shape: { kind: 'fixed', amount: 9, periodMs: HOUR_MS } })],
      budgets: [
        budget({ name: 'hour', id: 'Bhour000', period: 'hour', unit: 'tokens', amount: 1_400 * 3 }),
        budget({ name: 'day', id: 'Bday0000', period: 'day', atMinutes: 150, unit: 'tokens', amount: 1_400 * 5 }),
      ],
    }

    it.each([
      ['at an edge', 0],
      ['a millisecond before one', HOUR_MS - 1],
    ])('charges the windows of the ledger’s clock %s, and refuses by them', async (_at, sinceMs) => {
      const edgeMs = Math.ceil(under.nowMs() / HOUR_MS) * HOUR_MS
      await under.advance(edgeMs + sinceMs - under.nowMs())
      const right = keysOf(await decide(rules))
      for (const wrong of [await decide(rules, aheadMs), await decide(rules, aheadMs)]) {
        expect(wrong.kind).toBe('admitted')
        expect(keysOf(wrong)).toEqual(right)
        expect(wrong.facts.readAtMs).toBe(under.nowMs())
      }
      const refused = await decide(rules, aheadMs)
      expect(refused).toMatchObject({ kind: 'refused', refusal: { code: 'budget_held', limit: { rule: 'hour' } } })

      await under.advance(HOUR_MS - sinceMs)
      const next = await decide(rules, aheadMs)
      expect(next).toMatchObject({ kind: 'admitted' })
      expect(next.facts.states?.map(({ settled, held }) => settled + held)).toEqual([0, 0, 3 * 1_400])
    })
  })

  it('combines rules with AND for every set of dimensions: the one that is short refuses, the others keep their count', async () => {
    for (let set = 1; set < 2 ** DIMENSIONS.length; set += 1) {
      const key = DIMENSIONS.filter((_dimension, bit) => (set & (1 << bit)) !== 0)
      const roomy = DIMENSIONS.map((one) => limit({ name: one, id: `L${set}.${one}`, key: [one], ...hourly(9) }))
      const tight = limit({ name: 'tight', id: `L${set}`, key, ...hourly(2) })
      // Wherever it stands among the others.
      const limits = roomy.toSpliced(set % (roomy.length + 1), 0, tight)
      const decisions = [await decide({ limits }), await decide({ limits }), await decide({ limits })]
      expect(decisions.map(({ kind }) => kind)).toEqual(['admitted', 'admitted', 'refused'])
      expect(decisions[2]).toMatchObject({ refusal: { limit: { rule: 'tight', dimension: key.join(',') }, also: [] } })
      const accumulators = (decisions[0]?.facts.charges ?? []).map(({ accumulator }) => accumulator)
      expect(accumulators).toHaveLength(DIMENSIONS.length + 1)
      const states = await under.ledger.balances(accumulators)
      expect(states.every(({ settled, held }) => settled + held === 2)).toBe(true)
    }
  })
})

function hourly(amount: number): Pick<LimitRule, 'shape'> {
  return { shape: { kind: 'fixed', amount, periodMs: HOUR_MS } }
}
