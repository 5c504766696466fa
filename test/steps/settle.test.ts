import { afterAll, describe, expect, it } from 'vitest'
import { createTokenCounter } from '../../src/adapters/tiktoken/token-counter.ts'
import { Calibration } from '../../src/domain/calibration.ts'
import type { PlannedCharge } from '../../src/domain/charges.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import { toNanoUsd } from '../../src/domain/money.ts'
import type { Policy, Unit } from '../../src/domain/policy.ts'
import type { ModelPrice, PriceTable } from '../../src/domain/prices.ts'
import type { Ending } from '../../src/domain/settlement.ts'
import { settle, settleAtBound } from '../../src/steps/settle.ts'
import { estimate, identity, NOW, policy, upstream } from '../domain/policy-fixtures.ts'
import { askOf, model, rates, row, usage } from '../domain/price-fixtures.ts'

const counter = createTokenCounter()
afterAll(() => counter[Symbol.asyncDispose]())

const UPPER = toNanoUsd(9_000_000n)
const asked = model({
  id: 'sim-large',
  rows: [row({ rates: rates({ input: 3_000_000_000n, output: 15_000_000_000n }) })],
})
const cheaper = model({ id: 'sim-tiny', rows: [row({ rates: rates({ input: 1_000_000n, output: 1_000_000n }) })] })
const dearer = model({
  id: 'sim-huge',
  rows: [row({ rates: rates({ input: 9_000_000_000n, output: 90_000_000_000n }) })],
})

function table(...models: readonly ModelPrice[]): PriceTable {
  return {
    version: 'v',
    canonical: '{}',
    find: (_provider, name) => models.find(({ id }) => id === name || `${id}-2026-01-01` === name),
  }
}

function charge(unit: Unit, amount: number): PlannedCharge {
  const shape = { kind: 'budget', window: null } as const
  const accumulator = { key: `k:${unit}`, shard: 0, shape, limit: 1e12, limitVersion: 1 }
  return {
    accumulator,
    amount,
    rule: unit,
    ruleKind: 'budget',
    unit,
    dimension: 'tenant',
    subject: 'acme',
    basis: 'upper',
  }
}

const set: Policy = policy()

function admitted(): Admitted {
  const bound = estimate({
    inputTokens: { expected: 10, upper: 40 },
    outputTokens: { expected: 20, upper: 500 },
    cost: { expected: toNanoUsd(1_000n), upper: UPPER },
  })
  const charges = [charge('usd', Number(UPPER)), charge('requests', 1), charge('tokens', 540), charge('concurrent', 1)]
  return {
    kind: 'admitted',
    hold: { id: 'c.1', charges, atUs: 0, marks: charges.map(() => 0) },
    facts: {
      call: {
        id: '01a1fcf3-1e40-7330-939c-d84171e5aaef',
        startedAtMs: NOW,
        credential: { kind: 'missing' },
        endpoint: '/v1/chat/completions',
        wireHeaders: {},
        ip: '127.0.0.1',
        readBody: () => Promise.resolve(new Uint8Array()),
      },
      policy: set,
      prices: table(asked, cheaper, dearer),
      identity: identity(),
      ask: askOf('Say hello to everybody in the room.'),
      target: { upstream: upstream(), model: 'sim-large' },
      price: asked,
      estimate: bound,
      charges,
      states: charges.map(() => ({ limit: 1e12, settled: 0, held: 0 })),
    },
  }
}

function ending(changes: Partial<Ending> = {}): Ending {
  return {
    word: 'ok',
    consumed: 'maybe',
    usage: undefined,
    outputTexts: () => [],
    outputBytesBeyond: 0,
    status: 200,
    upstreamRequestId: undefined,
    totalMs: 5,
    firstByteMs: undefined,
    ...changes,
  }
}

const run = (changes: Partial<Ending>) =>
  settle(admitted(), ending(changes), { counter, calibration: new Calibration() })

describe('a settlement', () => {
  it('charges what the provider reported, to the nano-dollar', async () => {
    const settled = await run({ usage: usage({ input: 100, output: 10 }) })
    expect(settled).toMatchObject({ basis: 'provider_usage', cost: 450_000n, amounts: [450_000, 1, 110, 1], flags: [] })
  })

  it('gives everything back when nothing was sent', async () => {
    const settled = await run({ word: 'upstream_error', consumed: 'nothing', status: 502 })
    expect(settled).toMatchObject({ basis: 'none', cost: 0n, amounts: [0, 0, 0, 0] })
  })

  it('keeps the call itself counted when the provider saw and refused it', async () => {
    const settled = await run({ word: 'upstream_refused', consumed: 'nothing', status: 400 })
    expect(settled).toMatchObject({ basis: 'none', cost: 0n, amounts: [0, 1, 0, 0] })
  })

  it('counts the output when there is no usage, and says so', async () => {
    const settled = await run({ outputTexts: () => ['one two three four'] })
    expect(settled.basis).toBe('counted_output')
    expect(settled.usage.outputTokens).toBe(4)
    expect(settled.usage.inputTokens).toBeGreaterThanOrEqual(8)
  })

  it('takes zeros for no usage: the answer is counted and the report flagged', async () => {
    const settled = await run({
      usage: usage({ input: 0, output: 0 }),
      outputTexts: () => ['one two three four'],
    })
    expect(settled.usage.outputTokens).toBe(4)
    expect(settled.cost).toBeGreaterThan(0n)
    expect(settled.flags).toContain('usage_inconsistent')
  })

  it('believes a report of no output when there is none to see', async () => {
    const settled = await run({ usage: usage({ input: 100 }) })
    expect(settled).toMatchObject({ basis: 'provider_usage', cost: 300_000n, flags: [] })
  })

  it.each([
    ['a cheaper model at the price of the one that was asked for', 'sim-tiny', 450_000n],
    ['a dearer model at its own price', 'sim-huge', 1_800_000n],
    ['a model nobody knows at the price of the one that was asked for', 'gpt-unheard-of', 450_000n],
  ])('charges an answer that names %s, and flags it', async (_case, name, cost) => {
    const settled = await run({ usage: usage({ input: 100, output: 10 }, { model: name }) })
    expect(settled).toMatchObject({ cost, flags: ['model_mismatch'] })
  })

  it('takes a snapshot of the model that was asked for as the same model', async () => {
    const settled = await run({ usage: usage({ input: 100, output: 10 }, { model: 'sim-large-2026-01-01' }) })
    expect(settled.flags).toEqual([])
  })

  it('charges the whole bound for an answer that this side gave up on', async () => {
    const settled = await run({ word: 'client_abort', givenUp: true })
    expect(settled).toMatchObject({ basis: 'estimate', cost: UPPER, amounts: [Number(UPPER), 1, 540, 1] })
    expect(settled.flags).toEqual(['settled_at_bound'])
  })

  it('never charges an estimate above the bound that was held', async () => {
    const settled = await run({ outputTexts: () => ['word '.repeat(5_000)] })
    expect(settled.usage.outputTokens).toBe(500)
    expect(settled.cost).toBeLessThanOrEqual(UPPER)
  })

  it('charges a reported cost above the bound as the fact it is, and flags it', async () => {
    const settled = await run({ usage: usage({ input: 100, output: 100_000 }) })
    expect(settled.cost).toBeGreaterThan(UPPER)
    expect(settled.flags).toEqual(['bound_exceeded'])
  })

  it('that cannot be worked out charges everything that was held', () => {
    const settled = settleAtBound(admitted(), ending())
    expect(settled).toMatchObject({ cost: UPPER, amounts: [Number(UPPER), 1, 540, 1], flags: ['settled_at_bound'] })
  })
})
