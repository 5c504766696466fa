import { describe, expect, it } from 'vitest'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import type { Ask } from '../../src/domain/ask.ts'
import { maximumSet } from '../../src/domain/prices/estimate.ts'
import type { Estimate } from '../../src/domain/prices/estimate.ts'
import { decisionRecord } from '../../src/domain/audit/records.ts'
import { estimate } from '../../src/steps/estimate.ts'
import { reserve } from '../../src/steps/reserve.ts'
import type { Refine } from '../../src/steps/reserve.ts'
import { settleAtBound } from '../../src/steps/settle.ts'
import { NOW } from '../domain/policy-fixtures.ts'
import { askOf, model } from '../domain/price-fixtures.ts'
import { ending, estimated, noRefinement, otherwise, pace, purse, steps } from './fixtures.ts'
import type { Rules } from './fixtures.ts'

/** 1,000 tokens in, 4,000 out: 2 and 32 million nano-dollars. */
const ASK = askOf('', { textBytes: 872, outputTokensMax: 4_000 })
const INPUT = 2_000_000
const PER_TOKEN = 8_000

const purseOf = (amount: number, more: object = {}) => ({ ...purse, amount, fit: true, ...more })
const tokensOf = (amount: number, more: object = {}) =>
  ({ ...purse, name: 'tokens', id: 'Btokens0', unit: 'tokens', amount, fit: true, ...more }) as const

function boundOf(ask: Ask): Estimate {
  const bound = estimate(ask, model(), { outputTokensMax: undefined, nowMs: NOW }, { calibration: new Calibration() })
  if (bound.kind === 'refused') throw new Error(bound.message)
  return bound
}

function facts(rules: Rules, ask = ASK) {
  return estimated(rules, { ask, estimate: boundOf(ask) })
}

async function decide(
  rules: Rules,
  {
    ask = ASK,
    refine = noRefinement,
    world = steps(),
  }: Partial<{ ask: Ask; refine: Refine; world: ReturnType<typeof steps> }> = {},
) {
  const decision = await reserve(facts(rules, ask), refine, world)
  const { charges = [] } = decision.facts
  const states = await world.memory.balances(charges.map(({ accumulator }) => accumulator))
  return { decision, states, world }
}

describe('a call whose answer is too long for what is left', () => {
  it('gets the longest that fits, and facts, hold and ledger say the same of it', async () => {
    const rules = { budgets: [purseOf(INPUT + 500 * PER_TOKEN + PER_TOKEN - 1), tokensOf(10_000)] }
    const { decision, states } = await decide(rules)
    if (decision.kind === 'refused') throw new Error(decision.refusal.message)
    const { facts: known, hold } = decision
    expect(known.estimate).toMatchObject({
      outputTokensMax: 500,
      outputTokensAsked: 4_000,
      outputTokens: { upper: 500 },
      cost: { upper: BigInt(INPUT + 500 * PER_TOKEN) },
    })
    expect(maximumSet(known.estimate)).toBe(500)
    expect(known.charges.map(({ rule, amount }) => [rule, amount])).toEqual([
      ['pace', 1],
      ['purse', INPUT + 500 * PER_TOKEN],
      ['tokens', 1_500],
    ])
    expect(hold.charges.map(({ amount }) => amount)).toEqual(known.charges.map(({ amount }) => amount))
    expect(states.map(({ settled, held }) => settled + held)).toEqual(known.charges.map(({ amount }) => amount))
    expect(decisionRecord(decision, undefined, 1)).toMatchObject({
      est: { asked: 4_000, max: 500, out: 500, usd: '0.006000000' },
    })
    const { amounts, cost } = settleAtBound(decision, ending())
    expect([amounts[1], cost]).toEqual([INPUT + 500 * PER_TOKEN, BigInt(INPUT + 500 * PER_TOKEN)])
  })

  it('gets what it asked for when that fits, and its own maximum stands', async () => {
    const { decision } = await decide({ budgets: [purseOf(INPUT + 4_000 * PER_TOKEN)] })
    expect(decision.kind).toBe('admitted')
    expect(decision.facts.estimate).toEqual(boundOf(ASK))
    expect(decision.facts.estimate && maximumSet(decision.facts.estimate)).toBeUndefined()
  })

  it('gets what it asked for when room was made before it asked a second time', async () => {
    const full = steps()
    let tries = 0
    const late = otherwise(full.ledger, {
      async reserve(request) {
        tries += 1
        if (tries === 1) {
          const state = { limit: INPUT + 4_000 * PER_TOKEN, settled: 0, held: 1 }
          return { kind: 'refused', shortfalls: [{ index: 1, state, retryAfterMs: null }] }
        }
        return full.ledger.reserve(request)
      },
    })
    const decision = await reserve(facts({ budgets: [purseOf(INPUT + 4_000 * PER_TOKEN)] }), noRefinement, {
      ...full,
      ledger: late,
    })
    expect(decision.facts.estimate).toEqual(boundOf(ASK))
    // Each try has an id of its own: what the first held in parts and gave back is not mistaken for the second.
    expect(decision).toMatchObject({ kind: 'admitted', hold: { id: `${decision.facts.call.id}.3` } })
  })

  it('that left its maximum open is granted one', async () => {
    const { decision } = await decide({ budgets: [tokensOf(2_000)] }, { ask: { ...ASK, outputTokensMax: undefined } })
    expect(decision).toMatchObject({
      kind: 'admitted',
      facts: { estimate: { outputTokensMax: 1_000, outputTokensAsked: 16_384, outputMaxInjected: true } },
    })
  })

  it('with several choices gets as much for each', async () => {
    const { decision } = await decide({ budgets: [tokensOf(3_500)] }, { ask: { ...ASK, choices: 5 } })
    expect(decision.facts.estimate).toMatchObject({ outputTokensMax: 500, outputTokens: { upper: 2_500 } })
  })

  it('draws from a rate no more than its answer can be', async () => {
    const rate = { ...pace, unit: 'tokens', shape: { kind: 'sliding', amount: 1_000_000, periodMs: 60_000 } } as const
    const { decision } = await decide({ limits: [rate], budgets: [tokensOf(1_300)] })
    // 218 tokens of input and 512 of output are expected; 300 are granted.
    expect(decision.facts.charges?.map(({ amount }) => amount)).toEqual([218 + 300, 1_300])
  })
})

describe('a call is refused as before', () => {
  it('when less than 256 tokens would fit, by what it needs at least, and nothing is changed', async () => {
    const { decision, world } = await decide({ budgets: [tokensOf(1_255)] })
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'never_fits', limit: { needed: '1256' } } })
    expect(decision.facts.charges?.map(({ amount }) => amount)).toEqual([5_000])
    expect(world.memory.size()).toBe(0)
    expect((await decide({ budgets: [tokensOf(1_256)] })).decision.kind).toBe('admitted')
  })

  it('until the window ends, when then a short answer would fit', async () => {
    const world = steps()
    const rules = { budgets: [tokensOf(1_500)] }
    await decide(rules, { world })
    const { decision } = await decide(rules, { world })
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'budget_held' } })
  })

  it('when one of the rules that are short keeps answers whole', async () => {
    const { decision, world } = await decide({
      budgets: [tokensOf(2_000), { ...purse, amount: INPUT + 500 * PER_TOKEN }],
    })
    expect(decision).toMatchObject({ kind: 'refused', refusal: { limit: { rule: 'purse' } } })
    expect(world.memory.size()).toBe(0)
  })

  it('without asking the ledger again when it is plain that nothing fits', async () => {
    const world = steps()
    let tries = 0
    const counting = otherwise(world.ledger, {
      async reserve(request) {
        tries += 1
        return world.memory.reserve(request)
      },
    })
    await reserve(facts({ budgets: [tokensOf(1_000)] }), noRefinement, { ...world, ledger: counting })
    await reserve(facts({ budgets: [tokensOf(1_300, { fit: false })] }), noRefinement, { ...world, ledger: counting })
    expect(tries).toBe(2)
  })
})

describe('counting the text', () => {
  const tighter = { ...boundOf(ASK), inputTokens: { expected: 200, upper: 400 }, method: 'tokenizer' } as const

  it('comes first, and what it finds is room for more answer', async () => {
    const smallest: number[] = []
    const refine: Refine = async (_short, _charges, { outputTokensMax }) => {
      smallest.push(outputTokensMax)
      return tighter
    }
    const { decision } = await decide({ budgets: [tokensOf(2_000)] }, { refine })
    expect(smallest).toEqual([256])
    expect(decision.facts.estimate).toMatchObject({ method: 'tokenizer', outputTokensMax: 1_600 })
  })

  it('keeps the whole answer where that fits', async () => {
    const { decision } = await decide({ budgets: [tokensOf(4_400)] }, { refine: async () => tighter })
    expect(decision.facts.estimate).toEqual(tighter)
  })
})
