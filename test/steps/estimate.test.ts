import * as fc from 'fast-check'
import { get_encoding } from 'tiktoken'
import { afterAll, describe, expect, test } from 'vitest'
import { createTokenCounter } from '../../src/adapters/tiktoken/token-counter.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import { upperCost } from '../../src/domain/prices/cost.ts'
import type { Ask } from '../../src/domain/ask.ts'
import type { ModelPrice } from '../../src/domain/prices/prices.ts'
import type { Shortfall } from '../../src/domain/ledger/reservation.ts'
import type { TokenCounter } from '../../src/ports.ts'
import { couldFit, estimate, floorOf, refine, type ShortCharge } from '../../src/steps/estimate.ts'
import { askOf, model, rates, ratio, row } from '../domain/price-fixtures.ts'

const AT = Date.parse('2026-09-30T00:00:00Z')
const counter = createTokenCounter()
const o200k = get_encoding('o200k_base')

afterAll(async () => {
  await counter[Symbol.asyncDispose]()
  o200k.free()
})

function estimated(ask: Ask, priced: ModelPrice = model(), outputTokensMax?: number) {
  const result = estimate(ask, priced, { outputTokensMax, nowMs: AT }, { calibration: new Calibration() })
  if (result.kind === 'refused') throw new Error(result.message)
  return result
}

function refused(ask: Ask, priced: ModelPrice = model(), outputTokensMax?: number) {
  const result = estimate(ask, priced, { outputTokensMax, nowMs: AT }, { calibration: new Calibration() })
  return result.kind === 'refused' ? result : undefined
}

const shortOf = (room: number): Shortfall => ({
  index: 0,
  state: { limit: room, settled: 0, held: 0 },
  retryAfterMs: null,
})

const usd = (amount: bigint): ShortCharge => ({ amount: Number(amount), unit: 'usd', basis: 'upper' })

const facts = (ask: Ask, price: ModelPrice = model()) => ({ ask, price, call: { startedAtMs: AT } })

describe('estimate', () => {
  test('holds the byte bound and the injected maximum, priced at their dearest', () => {
    const ask = askOf('', { textBytes: 872 })
    expect(estimated(ask)).toEqual({
      kind: 'estimated',
      inputTokens: { expected: 218, upper: 1_000 },
      outputTokens: { expected: 512, upper: 16_384 },
      cost: { expected: 218n * 2_000n + 512n * 8_000n, upper: 1_000n * 2_000n + 16_384n * 8_000n },
      method: 'bytes',
      outputTokensMax: 16_384,
      outputMaxInjected: true,
    })
  })

  test('keeps the caller’s own maximum and does not set one', () => {
    const result = estimated(askOf('', { outputTokensMax: 50, choices: 2 }))
    expect(result).toMatchObject({ outputTokensMax: 50, outputMaxInjected: false, outputTokens: { upper: 100 } })
  })

  test('the byte bound is at least the real count of any text, however it is written', () => {
    const anyText = fc.oneof(
      fc.string({ unit: 'binary', maxLength: 300 }),
      fc.string({ unit: 'grapheme', maxLength: 300 }),
      fc.string({
        unit: fc.constantFrom('\ud800', '\udfff', 'a', ' ', '\n', '😀', '的', '<|endoftext|>'),
        maxLength: 200,
      }),
    )
    fc.assert(
      fc.property(anyText, (text) => {
        const real = o200k.encode_ordinary(text).length
        expect(estimated(askOf(text)).inputTokens.upper).toBeGreaterThanOrEqual(Math.min(real, 128_000))
      }),
      { numRuns: 300 },
    )
  })

  test('the expected value is never above the bound, whatever was learned', () => {
    const learned = fc.record({
      textBytes: fc.nat(100_000),
      inputTokens: fc.nat(10_000_000),
      outputTokens: fc.nat(10_000_000),
    })
    fc.assert(
      fc.property(
        learned,
        fc.nat(200_000),
        fc.integer({ min: 1, max: 16_384 }),
        (sample, textBytes, outputTokensMax) => {
          const calibration = new Calibration()
          calibration.learn(model(), sample)
          const ask = askOf('', { textBytes, outputTokensMax })
          const result = estimate(ask, model(), { outputTokensMax: undefined, nowMs: AT }, { calibration })
          if (result.kind === 'refused') throw new Error(result.message)
          for (const range of [result.inputTokens, result.outputTokens]) {
            expect(range.expected).toBeLessThanOrEqual(range.upper)
            expect(Number.isSafeInteger(range.expected)).toBe(true)
          }
          expect(result.cost.expected).toBeLessThanOrEqual(result.cost.upper)
        },
      ),
    )
  })

  test('refuses a maximum above the model’s own, naming the field and the maximum', () => {
    expect(refused(askOf('hi', { outputTokensMax: 16_384 }))).toBeUndefined()
    const above = refused(askOf('hi', { outputTokensMax: 16_385, outputTokensField: 'max_tokens' }))
    expect(above).toMatchObject({ code: 'invalid_request', field: 'max_tokens' })
    expect(above?.message).toBe('max_tokens is more than this model can give. Lower it to 16384 or less.')
    expect(refused(askOf('hi', { outputTokensMax: 1e12 }))).toMatchObject({ field: 'max_completion_tokens' })
  })

  test('refuses a tier or a geography that has no price', () => {
    const serviceTiers = {
      reported: {},
      possible: { absent: ['standard'], auto: ['standard'], fast: ['fast', 'standard'] },
    }
    const tiered = model({ serviceTiers })
    expect(refused(askOf('', { serviceTier: 'auto' }), tiered)).toBeUndefined()
    expect(refused(askOf('', { serviceTier: 'fast' }), tiered)).toMatchObject({
      code: 'price_unknown',
      field: 'service_tier',
    })
    const anthropic = askOf('', { serviceTier: 'fast', family: 'anthropic' })
    expect(refused(anthropic, tiered)).toMatchObject({ code: 'price_unknown', field: 'speed' })
    expect(refused(askOf('', { serviceTier: 'unheard' }), tiered)).toMatchObject({ code: 'price_unknown' })
    const fast = model({ serviceTiers, rows: [row(), row({ key: 'fast', tier: 'fast' })] })
    expect(refused(anthropic, fast)).toBeUndefined()
    const american = model({ geography: { us: ratio('1.1') } })
    for (const geography of ['us', 'global']) expect(refused(askOf('', { geography }), american)).toBeUndefined()
    expect(refused(askOf('', { geography: 'eu' }), american)).toMatchObject({
      code: 'price_unknown',
      field: 'inference_geo',
    })
  })

  test('refuses what it cannot bound, naming the field', () => {
    expect(refused(askOf('', { otherModels: ['x'] }))).toMatchObject({ code: 'invalid_request', field: 'fallbacks' })
    const unbounded = askOf('', { serverTools: [{ name: 'web_search', callsMax: undefined }] })
    expect(refused(unbounded)).toMatchObject({ code: 'invalid_request', field: 'tools' })
    const unknown = askOf('', { serverTools: [{ name: 'code_execution', callsMax: 1 }] })
    expect(refused(unknown)).toMatchObject({ code: 'price_unknown', reason: 'price_meter_missing: code_execution' })
    const unpriced = askOf('', { serverTools: [{ name: 'web_search', callsMax: 1 }] })
    expect(refused(unpriced)).toMatchObject({ code: 'price_unknown', reason: 'price_meter_missing: web_search' })
  })

  test('refuses a model whose price has ended', () => {
    expect(refused(askOf(''), model({ rows: [row({ untilMs: AT - 1 })] }))).toMatchObject({ code: 'price_unknown' })
  })

  test('refuses a maximum above what the access rule allows, and injects the rule’s when there is none', () => {
    expect(refused(askOf('', { outputTokensMax: 101 }), model(), 100)).toMatchObject({
      code: 'access_denied',
      field: 'max_completion_tokens',
    })
    expect(estimated(askOf('', { outputTokensMax: 100 }), model(), 100).outputTokensMax).toBe(100)
    expect(estimated(askOf(''), model(), 100)).toMatchObject({ outputTokensMax: 100, outputMaxInjected: true })
  })

  test('prices every server tool call the request allows', () => {
    const searching = model({ rows: [row({ rates: rates({ input: 0, output: 0, web_search: 10_000_000_000 }) })] })
    const ask = askOf('', { serverTools: [{ name: 'web_search_20250305', callsMax: 8 }] })
    expect(estimated(ask, searching).cost.upper).toBe(80_000_000n)
  })
})

describe('refine', () => {
  const text = 'The quick brown fox jumps over the lazy dog. '.repeat(200)

  test('lowers the bound to the real count plus framing, and stays above the real count', async () => {
    const ask = askOf(text, { outputTokensMax: 10 })
    const bound = estimated(ask)
    const tighter = await refine(facts(ask), bound, [shortOf(10_000_000)], [usd(bound.cost.upper)], { counter })
    const real = o200k.encode_ordinary(text).length
    expect(tighter).toMatchObject({ kind: 'estimated', method: 'tokenizer', outputTokens: bound.outputTokens })
    expect(tighter?.inputTokens.upper).toBeGreaterThanOrEqual(real + 8)
    expect(tighter?.inputTokens.upper).toBeLessThan(real + 200)
    expect(tighter?.cost.upper).toBeLessThan(bound.cost.upper)
    expect(tighter?.cost.expected).toBeLessThanOrEqual(tighter?.cost.upper ?? 0n)
  })

  test('any text: the refined bound is at least the real count', async () => {
    const anyText = fc.string({ unit: 'grapheme', minLength: 200, maxLength: 2_000 })
    let compared = 0
    await fc.assert(
      fc.asyncProperty(anyText, async (sample) => {
        const ask = askOf(sample)
        const bound = estimated(ask)
        const tighter = await refine(facts(ask), bound, [], [], { counter })
        const real = o200k.encode_ordinary(sample).length
        compared += tighter ? 1 : 0
        expect(tighter?.inputTokens.upper ?? bound.inputTokens.upper).toBeGreaterThanOrEqual(real)
      }),
      { numRuns: 50 },
    )
    expect(compared).toBeGreaterThan(10)
  })

  test('counts the framing of every message, also when the texts leave it out', async () => {
    const messages = Array.from({ length: 500 }, () => ({ role: 'user', content: 'hi' }))
    const textBytes = Buffer.byteLength(JSON.stringify({ model: 'chat', messages }))
    const ask = askOf('', { textBytes, texts: () => messages.map(({ content }) => content) })
    const tighter = await refine(facts(ask), estimated(ask), [], [], { counter })
    expect(tighter?.inputTokens.upper).toBeGreaterThanOrEqual(500 * (1 + 5))
  })

  test('has nothing better for an encoding that is not public, for hidden content, or when the counter does not answer', async () => {
    const ask = askOf(text)
    const bound = estimated(ask)
    const claude = model({
      tokenizer: { encoding: undefined, certainty: 'measured', bytesFactor: ratio('2.25'), ratioO200k: ratio('1.45') },
    })
    const measured = model({ tokenizer: { ...model().tokenizer, certainty: 'measured' } })
    const hidden = askOf(text, { opaque: ['file_id'] })
    expect(await refine(facts(ask, claude), estimated(ask, claude), [], [], { counter })).toBeUndefined()
    expect(await refine(facts(ask, measured), estimated(ask, measured), [], [], { counter })).toBeUndefined()
    expect(await refine(facts(hidden), estimated(hidden), [], [], { counter })).toBeUndefined()
    expect(await refine(facts(ask), bound, [], [], { counter: silent() })).toBeUndefined()
  })

  test('runs no tokenizer when even an empty prompt would not fit', async () => {
    const ask = askOf(text, { outputTokensMax: 10_000 })
    const bound = estimated(ask)
    const charges = [usd(bound.cost.upper)]
    const floor = floorOf(ask, model(), bound, AT).cost
    const asked: number[] = []
    const spying: TokenCounter = {
      ...silent(),
      count: async (texts) => {
        asked.push(texts.length)
        return undefined
      },
    }
    await refine(facts(ask), bound, [shortOf(Number(floor) - 1)], charges, { counter: spying })
    expect(asked).toEqual([])
    await refine(facts(ask), bound, [shortOf(Number(floor))], charges, { counter: spying })
    expect(asked).toEqual([1])
  })
})

describe('couldFit', () => {
  const ask = askOf('x'.repeat(1_000), { outputTokensMax: 100 })
  const bound = estimated(ask)
  const floor = floorOf(ask, model(), bound, AT)

  test('the floor is the cost of no text and all output', () => {
    const none = upperCost(model(), {
      inputTokens: 128,
      outputTokens: 100,
      serviceTier: undefined,
      longCacheWrites: false,
      calls: {},
      atMs: AT,
      timeoutMs: 0,
    })
    expect(none).toEqual({ kind: 'bounded', nanoUsd: floor.cost })
  })

  test('only a shortage that less input cures is worth a count', () => {
    const fits = (unit: ShortCharge['unit'], amount: number, room: number, basis: ShortCharge['basis'] = 'upper') =>
      couldFit(floor, bound, [shortOf(room)], [{ amount, unit, basis }])
    const tokens = bound.inputTokens.upper + bound.outputTokens.upper
    expect(fits('tokens', tokens, 228)).toBe(true)
    expect(fits('tokens', tokens, 227)).toBe(false)
    expect(fits('input_tokens', bound.inputTokens.upper, 128)).toBe(true)
    expect(fits('input_tokens', bound.inputTokens.upper, 127)).toBe(false)
    expect(fits('output_tokens', 100, 99)).toBe(false)
    expect(fits('requests', 1, 0)).toBe(false)
    expect(fits('concurrent', 1, 0)).toBe(false)
    expect(fits('tokens', tokens, 1_000_000, 'expected')).toBe(false)
  })

  test('a weighted charge shrinks in proportion', () => {
    const tokens = (bound.inputTokens.upper + bound.outputTokens.upper) * 3
    expect(couldFit(floor, bound, [shortOf(228 * 3)], [{ amount: tokens, unit: 'tokens', basis: 'upper' }])).toBe(true)
    expect(couldFit(floor, bound, [shortOf(228 * 3 - 1)], [{ amount: tokens, unit: 'tokens', basis: 'upper' }])).toBe(
      false,
    )
  })

  test('every shortage must be curable', () => {
    const both = [shortOf(1_000_000), { ...shortOf(0), index: 1 }]
    const charges: ShortCharge[] = [
      { amount: 10, unit: 'tokens', basis: 'upper' },
      { amount: 1, unit: 'requests', basis: 'upper' },
    ]
    expect(couldFit(floor, bound, both, charges)).toBe(false)
  })
})

function silent(): TokenCounter {
  return { count: () => Promise.resolve(undefined), [Symbol.asyncDispose]: () => Promise.resolve() }
}
