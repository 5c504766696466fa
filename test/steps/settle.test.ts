import * as fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { createTokenCounter } from '../../src/adapters/tiktoken/token-counter.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import type { Admitted } from '../../src/domain/decision.ts'
import { toNanoUsd } from '../../src/domain/prices/money.ts'
import type { Ending } from '../../src/domain/settlement.ts'
import type { TokenCounter } from '../../src/ports.ts'
import { settle } from '../../src/steps/settle.ts'
import { budget, estimate, limit } from '../domain/policy-fixtures.ts'
import { askOf, model, ratio, usage } from '../domain/price-fixtures.ts'
import { admitted, ending, pace, purse } from './fixtures.ts'

/** A busy machine may be slow to start its worker. */
const counter = createTokenCounter({ timeoutMs: 20_000 })

afterAll(async () => {
  await counter[Symbol.asyncDispose]()
})

/** Cannot count: its queue is full. */
const busy = { count: async () => undefined, [Symbol.asyncDispose]: async () => undefined }

const tokens = limit({
  name: 'tokens',
  id: 'Ltokens0',
  unit: 'tokens',
  shape: { kind: 'sliding', amount: 1_000_000, periodMs: 60_000 },
})
const places = limit({ name: 'places', id: 'Lplaces0', unit: 'concurrent', shape: { kind: 'concurrent', amount: 9 } })
const allowance = budget({ name: 'allowance', id: 'Ballow00', unit: 'tokens', amount: 1_000_000 })
const RULES = { limits: [pace, tokens, places], budgets: [purse, allowance] }

const PRICED = { estimate: estimate({ cost: { expected: toNanoUsd(600_000n), upper: toNanoUsd(8_800_000n) } }) }

/** A call that may use 400 tokens of input and 1,000 of output, for 2 and 8 dollars a million. */
const open = (more: Parameters<typeof admitted>[1] = {}) => admitted(RULES, { ...PRICED, ...more })

async function settled(call: Admitted, end: Partial<Ending>, by: TokenCounter = counter) {
  const calibration = new Calibration()
  const settlement = await settle(call, ending(end), { counter: by, calibration })
  const amounts = Object.fromEntries(call.facts.charges.map(({ rule }, at) => [rule, settlement.amounts[at]]))
  return { ...settlement, amounts, calibration, list: settlement.amounts }
}

describe('settle', () => {
  it('charges what the provider reported, to the nano-dollar', async () => {
    const { basis, cost, amounts, flags } = await settled(await open(), { usage: usage({ input: 100, output: 50 }) })
    expect({ basis, flags }).toEqual({ basis: 'provider_usage', flags: [] })
    expect(cost).toBe(100n * 2_000n + 50n * 8_000n)
    expect(amounts).toEqual({ pace: 1, tokens: 150, places: 1, purse: 600_000, allowance: 150 })
  })

  it('gives everything back when nothing can have been consumed', async () => {
    const { basis, cost, list } = await settled(await open(), { consumed: 'nothing', word: 'upstream_error' })
    expect({ basis, cost }).toEqual({ basis: 'none', cost: 0n })
    expect(list).toEqual([0, 0, 0, 0, 0])
  })

  it('keeps the call itself when the provider saw and refused it', async () => {
    const { amounts, cost } = await settled(await open(), {
      consumed: 'nothing',
      word: 'upstream_refused',
      status: 400,
    })
    expect(cost).toBe(0n)
    expect(amounts).toMatchObject({ pace: 1, tokens: 0, purse: 0, allowance: 0 })
  })

  it('counts the output that was seen when no usage came', async () => {
    const texts = ['Hello there, ', 'how are you today?']
    const expected = await counter.count(texts, 'o200k_base')
    const call = await open()
    const { basis, usage: used, cost } = await settled(call, { word: 'client_abort', outputTexts: () => texts })
    expect(basis).toBe('counted_output')
    expect(used.outputTokens).toBe(expected)
    expect(used.inputTokens).toBeGreaterThanOrEqual(call.facts.estimate.inputTokens.expected)
    expect(cost).toBe(BigInt(used.inputTokens) * 2_000n + BigInt(used.outputTokens) * 8_000n)
  })

  it('counts bytes when the counter has no time, and bytes that were not kept', async () => {
    const { usage: used } = await settled(
      await open(),
      { word: 'client_abort', outputTexts: () => ['Größe'], outputBytesBeyond: 11 },
      busy,
    )
    expect(used.outputTokens).toBe(Buffer.byteLength('Größe') + 11)
  })

  it('counts with a public encoding, at the measured ratio, where the model’s own is not public', async () => {
    const tokenizer = { ...model().tokenizer, encoding: undefined, ratioO200k: ratio('2') }
    const call = await open({ price: model({ tokenizer }) })
    const texts = ['Hello there, how are you today?']
    const { usage: used } = await settled(call, { outputTexts: () => texts })
    expect(used.outputTokens).toBe(2 * ((await counter.count(texts, 'o200k_base')) ?? 0))
    expect(used.inputTokens).toBe(call.facts.estimate.inputTokens.expected)
  })

  it('estimates the input when nothing was seen at all', async () => {
    const { basis, usage: used, cost } = await settled(await open(), { word: 'timeout' })
    expect(basis).toBe('estimate')
    expect(used.outputTokens).toBe(0)
    expect(cost).toBeGreaterThan(0n)
  })

  it('charges the whole bound of a call that this side gave up', async () => {
    const call = await open()
    const { basis, cost, amounts } = await settled(call, { word: 'timeout', givenUp: true })
    const { upper } = call.facts.estimate.cost
    expect({ basis, cost }).toEqual({ basis: 'estimate', cost: upper })
    expect(amounts['purse']).toBe(Number(upper))
    expect(amounts['allowance']).toBe(1_400)
  })

  it('counts what a broken answer gave beyond what was reported until then', async () => {
    const texts = ['one two three four five six seven eight nine ten']
    const reported = usage({ input: 100, output: 1 })
    const counted = await counter.count(texts, 'o200k_base')
    const broken = await settled(await open(), { usage: reported, truncated: true, outputTexts: () => texts })
    expect(broken.usage).toMatchObject({ inputTokens: 100, outputTokens: counted })
    expect(broken.basis).toBe('counted_output')
    const whole = await settled(await open(), { usage: reported, outputTexts: () => texts })
    expect(whole.usage.outputTokens).toBe(1)
  })

  it('takes a report of zeros for no report', async () => {
    const { cost, flags } = await settled(await open(), {
      usage: usage({ input: 0, output: 0 }),
      outputTexts: () => ['Hello there'],
    })
    expect(cost).toBeGreaterThan(0n)
    expect(flags).toContain('usage_inconsistent')
  })

  it('records a bill above the bound as it is, and raises the alarm', async () => {
    const call = await open()
    const { cost, flags, amounts } = await settled(call, { usage: usage({ input: 400, output: 2_000 }) })
    expect(cost).toBeGreaterThan(call.facts.estimate.cost.upper)
    expect(amounts['purse']).toBe(Number(cost))
    expect(flags).toEqual(['bound_exceeded'])
  })

  it('flags an answer by another model, and numbers that do not add up', async () => {
    const other = { ...usage({ input: 100, output: 50 }), model: 'somebody-else', consistent: false }
    const { flags, cost } = await settled(await open(), { usage: other })
    expect(flags).toEqual(['usage_inconsistent', 'model_mismatch'])
    expect(cost).toBe(600_000n)
  })

  it('charges the bound for usage that has no price', async () => {
    const call = await open()
    const { cost, flags } = await settled(call, { usage: usage({ input: 100, output: 50, web_search: 1 }) })
    expect(cost).toBe(call.facts.estimate.cost.upper)
    expect(flags).toContain('price_meter_missing')
  })

  it('without a report never charges more than was held, whatever was seen', async () => {
    const call = await open()
    const end = fc.record({
      word: fc.constantFrom('client_abort' as const, 'upstream_error' as const, 'timeout' as const),
      outputTexts: fc.array(fc.string({ maxLength: 2_000 }), { maxLength: 5 }).map((texts) => () => texts),
      outputBytesBeyond: fc.nat(10_000_000),
      truncated: fc.boolean(),
      givenUp: fc.boolean(),
    })
    await fc.assert(
      fc.asyncProperty(end, async (seen) => {
        const { cost, list, basis } = await settled(call, seen)
        expect(basis).not.toBe('provider_usage')
        expect(cost).toBeLessThanOrEqual(call.facts.estimate.cost.upper)
        const above = call.facts.charges.filter(
          ({ basis: held, amount }, at) => held === 'upper' && (list[at] ?? 0) > amount,
        )
        expect(above).toEqual([])
      }),
      { numRuns: 60 },
    )
  })
})

describe('what a settlement teaches', () => {
  const text = { ask: askOf('word '.repeat(200)) }
  const learned = ({ calibration }: { calibration: Calibration }) => calibration.expectation(model()).tokensPerByte
  const untaught = new Calibration().expectation(model()).tokensPerByte
  const report = { usage: usage({ input: 900, output: 50 }) }

  it('is the provider’s own count, and nothing that was estimated or broke off', async () => {
    expect(learned(await settled(await open(text), report))).not.toBe(untaught)
    expect(learned(await settled(await open(text), { outputTexts: () => ['Hello'] }))).toBe(untaught)
    expect(learned(await settled(await open(text), { ...report, truncated: true }))).toBe(untaught)
  })

  it('is nothing when other things than text were sent', async () => {
    for (const more of [{ images: 1 }, { mediaTokensMax: 5 }, { opaque: ['file'] }]) {
      const call = await open({ ask: { ...text.ask, ...more } })
      expect(learned(await settled(call, report))).toBe(untaught)
    }
  })
})
