import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actualCharges, planCharges } from '../../src/domain/ledger/charges.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import type { Ask } from '../../src/domain/ask.ts'
import { fitted } from '../../src/domain/ledger/fit.ts'
import { toNanoUsd } from '../../src/domain/prices/money.ts'
import type { ModelPrice } from '../../src/domain/prices/prices.ts'
import { boundCost } from '../../src/steps/estimate/assemble.ts'
import { fitOf, grantsOf } from '../../src/steps/estimate/grants.ts'
import { estimate } from '../../src/steps/estimate.ts'
import { anyOf, budget, identity, limit, matching, policy, target } from '../domain/policy-fixtures.ts'
import { askOf, model, rates, ratio, row } from '../domain/price-fixtures.ts'

const AT = Date.parse('2026-09-30T00:00:00Z')

function wholeOf(ask: Ask, priced: ModelPrice) {
  const whole = estimate(ask, priced, { outputTokensMax: undefined, nowMs: AT }, { calibration: new Calibration() })
  if (whole.kind === 'refused') throw new Error(whole.message)
  return whole
}

/** Nano-dollars for a million tokens: odd, so that next to nothing divides. */
const price = fc.integer({ min: 0, max: 600_000_000_000 })

/** Bands, tiers and a geography: the bound is the dearest of them, and which that is depends on the output. */
const models = fc
  .record({
    near: fc.record({ input: price, output: price }),
    far: fc.record({ input: price, output: price }),
    us: fc.nat(9),
  })
  .map(({ near, far, us }) =>
    model({
      geography: { us: ratio(`1.${us}`) },
      rows: [
        row({ key: 'near', contextMax: 2_000, rates: rates(near) }),
        row({ key: 'far', contextMin: 2_001, rates: rates(far) }),
        row({ key: 'flex', tier: 'flex', rates: rates({ input: far.input, output: near.output }) }),
      ],
    }),
  )

const asks = fc
  .record({
    textBytes: fc.nat(6_000),
    max: fc.option(fc.integer({ min: 2, max: 16_384 })),
    choices: fc.integer({ min: 1, max: 128 }),
  })
  .map(({ textBytes, max, choices }) => askOf('', { textBytes, outputTokensMax: max ?? undefined, choices }))

const share = fc.double({ min: 0, max: 1, noNaN: true })

const rules = policy({
  limits: [
    limit({ name: 'out', unit: 'output_tokens', shape: { kind: 'fixed', amount: 1e12, periodMs: 60_000 }, fit: true }),
    limit({
      name: 'heavy',
      unit: 'tokens',
      shape: { kind: 'fixed', amount: 1e12, periodMs: 60_000 },
      weighByClassification: true,
    }),
    limit({
      name: 'rate',
      unit: 'tokens',
      shape: { kind: 'sliding', amount: 1e12, periodMs: 60_000 },
      weighByClassification: true,
      fit: true,
    }),
    limit({ name: 'in', unit: 'input_tokens', shape: { kind: 'fixed', amount: 1e12, periodMs: 60_000 } }),
    limit({ name: 'calls' }),
    limit({ name: 'places', unit: 'concurrent', shape: { kind: 'concurrent', amount: 9 } }),
  ],
  budgets: [
    budget({ name: 'money', amount: 1e15, fit: true }),
    budget({ name: 'tokens', unit: 'tokens', amount: 1e15 }),
  ],
})
const caller = identity({ tenant: 'acme', team: 'research', agent: 'bot', classification: 'restricted' })

describe('the estimate of a shorter answer', () => {
  test('is what such an answer can cost at most, for every length that may be granted', () => {
    fc.assert(
      fc.property(models, asks, share, (priced, ask, part) => {
        const whole = wholeOf(ask, priced)
        const grants = grantsOf(ask, priced, whole, AT)
        fc.pre(grants !== undefined)
        if (grants === undefined) return
        const tokens = Math.round(grants.asked * part)
        const granted = grants.at(tokens)
        const outputTokens = tokens * ask.choices
        expect(granted).toMatchObject({ outputTokens: { upper: outputTokens }, outputTokensMax: tokens })
        const exact = boundCost(ask, priced, { inputTokens: whole.inputTokens.upper, outputTokens, nowMs: AT })
        expect(exact.kind === 'bounded' && exact.nanoUsd <= granted.cost.upper).toBe(true)
        expect(granted.cost.upper <= whole.cost.upper).toBe(true)
        expect(granted.outputTokens.expected).toBeLessThanOrEqual(outputTokens)
        expect(granted.cost.expected <= granted.cost.upper).toBe(true)
      }),
      { numRuns: 1_000 },
    )
  })

  test('has charges that no such answer exceeds, whatever a rule counts', () => {
    fc.assert(
      fc.property(models, asks, share, share, (priced, ask, part, used) => {
        const whole = wholeOf(ask, priced)
        const grants = grantsOf(ask, priced, whole, AT)
        fc.pre(grants !== undefined)
        if (grants === undefined) return
        const plan = (estimated: typeof whole) => {
          const planned = planCharges(rules, caller, { model: 'small', operation: 'chat' }, target, estimated, AT)
          if (planned.kind === 'refused') throw new Error(planned.message)
          return planned.charges
        }
        const charges = plan(whole)
        const fit = fitOf(charges, plan({ ...grants.at(0), kind: 'estimated' }), grants, ask.choices)
        const tokens = Math.round(grants.asked * part)
        const held = fitted(charges, fit, tokens)
        // The amounts of the estimate are those of the ledger: a dollar of one is a dollar of the other.
        expect(held.map(({ amount }) => amount)).toEqual(
          plan({ ...grants.at(tokens), kind: 'estimated' }).map(({ amount }) => amount),
        )
        const outputTokens = Math.round(tokens * ask.choices * used)
        const inputTokens = whole.inputTokens.upper
        const cost = boundCost(ask, priced, { inputTokens, outputTokens, nowMs: AT })
        const costNanoUsd = cost.kind === 'bounded' ? cost.nanoUsd : toNanoUsd(0n)
        const actual = actualCharges(held, { costNanoUsd, inputTokens, outputTokens })
        const above = held.filter(({ basis, amount }, index) => basis === 'upper' && (actual[index] ?? 0) > amount)
        expect(above).toEqual([])
      }),
      { numRuns: 500 },
    )
  })
})

describe('an answer is not shortened', () => {
  const grants = (ask: Ask, priced = model()) => grantsOf(ask, priced, wholeOf(ask, priced), AT)

  test('below what is of use: 256 tokens, or what was asked for', () => {
    expect(grants(askOf('', { outputTokensMax: 1_000 }))).toMatchObject({ asked: 1_000, least: 256 })
    expect(grants(askOf('', { outputTokensMax: 257 }))).toMatchObject({ least: 256 })
    expect(grants(askOf('', { outputTokensMax: 256 }))).toBeUndefined()
    expect(grants(askOf('', { outputTokensMax: 20 }))).toBeUndefined()
  })

  test('below what other fields of the request need', () => {
    expect(grants(askOf('', { outputTokensMax: 4_000, outputTokensLeast: 2_049 }))).toMatchObject({ least: 2_049 })
    expect(grants(askOf('', { outputTokensMax: 4_000, outputTokensLeast: 100 }))).toMatchObject({ least: 256 })
    expect(grants(askOf('', { outputTokensMax: 2_048, outputTokensLeast: 2_049 }))).toBeUndefined()
  })

  test('beside a prediction, with which no provider takes a maximum', () => {
    expect(grants(askOf('', { predictedBytes: 10 }))).toBeUndefined()
  })

  test('and what is written on top of it is not left out', () => {
    const compacting = askOf('', { outputTokensMax: 1_000, compacts: true })
    const whole = wholeOf(compacting, model())
    expect(grants(compacting)?.at(300).outputTokens.upper).toBe(whole.outputTokens.upper - 700)
  })

  test('one that the caller left open is', () => {
    expect(grants(askOf(''))).toMatchObject({ asked: 16_384, least: 256 })
  })
})

test('only rules that say so let answers be shortened', () => {
  const ask = askOf('', { outputTokensMax: 1_000 })
  const whole = wholeOf(ask, model())
  const grants = grantsOf(ask, model(), whole, AT)
  if (grants === undefined) throw new Error('expected grants')
  const one = policy({
    budgets: [budget({ name: 'a', fit: true }), budget({ name: 'b', match: matching({ agent: anyOf('bot') }) })],
  })
  const planned = planCharges(one, caller, { model: 'small', operation: 'chat' }, target, whole, AT)
  if (planned.kind === 'refused') throw new Error(planned.message)
  expect(fitOf(planned.charges, planned.charges, grants, 1).terms.map(({ mayShorten }) => mayShorten)).toEqual([
    true,
    false,
  ])
})
