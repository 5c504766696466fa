import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { costOf, possibleTiers, upperCost, type CostBounds } from '../../../src/domain/prices/cost.ts'
import {
  CONTEXT_UNBOUNDED,
  FOREVER_MS,
  type ModelPrice,
  type PriceRow,
  type Ratio,
} from '../../../src/domain/prices/prices.ts'
import { METERS, TOKEN_METERS, type Meter, type Quantities } from '../../../src/domain/prices/usage.ts'
import { model, rates, ratio, row, usage } from '../price-fixtures.ts'

const AT = Date.parse('2026-09-30T00:00:00Z')

const bounds = (overrides: Partial<CostBounds> = {}): CostBounds => ({
  inputTokens: 1_000,
  outputTokens: 100,
  serviceTier: undefined,
  longCacheWrites: false,
  calls: {},
  atMs: AT,
  timeoutMs: 600_000,
  ...overrides,
})

const isToken = (meter: Meter) => TOKEN_METERS.some((token) => token === meter)

/** The exact price over one common denominator, written as naively as possible. */
function exact(priced: PriceRow, quantities: Quantities, geography: Ratio): { top: bigint; bottom: bigint } {
  const bottom = 1_000_000_000n * geography.denominator
  const top = METERS.reduce((sum, meter) => {
    const rate = priced.rates[meter]
    const quantity = BigInt(quantities[meter] ?? 0)
    if (!rate) return sum
    const multiplied = isToken(meter) ? geography.numerator : geography.denominator
    return sum + (quantity * rate.nanoUsd * multiplied * 1_000_000_000n) / rate.per
  }, 0n)
  return { top, bottom }
}

const anyRates = fc
  .record(Object.fromEntries(METERS.map((meter) => [meter, fc.bigInt({ min: 0n, max: 10n ** 13n })])), {
    requiredKeys: ['input', 'output'],
  })
  .map((prices) => rates(prices))

const anyQuantities: fc.Arbitrary<Quantities> = fc.record(
  Object.fromEntries(METERS.map((meter) => [meter, fc.nat(10_000_000)])),
)

const allRates = fc
  .tuple(...METERS.map(() => fc.bigInt({ min: 0n, max: 10n ** 13n })))
  .map((prices) => rates(Object.fromEntries(METERS.map((meter, i) => [meter, prices[i] ?? 0n]))))

const anyGeography = fc.tuple(fc.integer({ min: 10, max: 15 })).map(([tenths]) => ratio(`1.${String(tenths - 10)}`))

describe('the arithmetic', () => {
  test('is exact up to one rounding up for the whole request, however many meters', () => {
    fc.assert(
      fc.property(allRates, anyQuantities, anyGeography, (prices, quantities, geography) => {
        const priced = row({ rates: prices })
        const cost = costOf(
          model({ rows: [priced], geography: { us: geography } }),
          usage(quantities, { geography: 'us' }),
          AT,
        )
        if (cost.kind !== 'priced') throw new Error(cost.fault)
        const { top, bottom } = exact(priced, quantities, geography)
        expect(cost.nanoUsd * bottom).toBeGreaterThanOrEqual(top)
        expect(cost.nanoUsd * bottom - top).toBeLessThan(bottom)
      }),
    )
  })

  test('gives lines that add up to the total, each within one nano-dollar of its own price', () => {
    fc.assert(
      fc.property(allRates, anyQuantities, (prices, quantities) => {
        const cost = costOf(model({ rows: [row({ rates: prices })] }), usage(quantities), AT)
        if (cost.kind !== 'priced') throw new Error(cost.fault)
        expect(cost.lines.reduce((sum, line) => sum + line.nanoUsd, 0n)).toBe(cost.nanoUsd)
        for (const line of cost.lines) {
          const rate = prices[line.meter]
          if (!rate) throw new Error('a line without a rate')
          const off = line.nanoUsd * rate.per - BigInt(line.quantity) * rate.nanoUsd
          expect(off < 0n ? -off : off).toBeLessThan(rate.per)
        }
      }),
    )
  })

  test('never gets cheaper when more is used', () => {
    fc.assert(
      fc.property(
        allRates,
        anyQuantities,
        fc.constantFrom(...METERS),
        fc.nat(1_000_000),
        (prices, quantities, meter, more) => {
          const priced = model({ rows: [row({ rates: prices })] })
          const less = costOf(priced, usage(quantities), AT)
          const grown = costOf(priced, usage({ ...quantities, [meter]: (quantities[meter] ?? 0) + more }), AT)
          if (less.kind !== 'priced' || grown.kind !== 'priced') throw new Error('unpriced')
          expect(grown.nanoUsd).toBeGreaterThanOrEqual(less.nanoUsd)
        },
      ),
    )
  })

  test('rounds half a nano-dollar up to one', () => {
    const cost = costOf(
      model({ rows: [row({ rates: rates({ input: 500_000, output: 1 }) })] }),
      usage({ input: 1 }),
      AT,
    )
    expect(cost).toMatchObject({ kind: 'priced', nanoUsd: 1n })
  })

  test('keeps exact what a double cannot hold', () => {
    const quantities = { input: Number.MAX_SAFE_INTEGER }
    const cost = costOf(
      model({ rows: [row({ rates: rates({ input: 3_000_000, output: 1 }) })] }),
      usage(quantities),
      AT,
    )
    expect(cost).toMatchObject({ nanoUsd: 3n * BigInt(Number.MAX_SAFE_INTEGER) })
  })
})

describe('what has no price is a fault, never zero', () => {
  test('a meter that was used and has no rate', () => {
    const cost = costOf(model(), usage({ input: 10, web_search: 1 }), AT)
    expect(cost).toEqual({ kind: 'unpriced', fault: 'price_meter_missing', detail: 'web_search' })
  })

  test('a tier without rows', () => {
    const cost = costOf(model(), usage({ input: 10 }, { tier: 'scale' }), AT)
    expect(cost).toEqual({ kind: 'unpriced', fault: 'price_tier_missing', detail: 'scale' })
  })

  test('an instant or an amount of input that no row covers', () => {
    const ended = model({ rows: [row({ untilMs: AT })] })
    expect(costOf(ended, usage({ input: 1 }), AT - 1)).toMatchObject({ kind: 'priced' })
    expect(costOf(ended, usage({ input: 1 }), AT)).toMatchObject({ fault: 'price_row_missing' })
    const short = model({ rows: [row({ contextMax: 99 })] })
    expect(costOf(short, usage({ input: 99 }), AT)).toMatchObject({ kind: 'priced' })
    expect(costOf(short, usage({ input: 100 }), AT)).toMatchObject({ fault: 'price_row_missing' })
  })

  test.each(['eu', 'constructor', '__proto__', ''])('the geography %j without a multiplier', (geography) => {
    const cost = costOf(model({ geography: { us: ratio('1.1') } }), usage({ input: 1 }, { geography }), AT)
    expect(cost).toMatchObject({ fault: 'price_geography_missing', detail: geography })
  })

  test.each([-1, 0.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])('a quantity of %d', (quantity) => {
    expect(costOf(model(), usage({ input: quantity }), AT)).toMatchObject({ fault: 'usage_invalid', detail: 'input' })
  })

  test.each(['constructor', '__proto__', 'toString'])('a tier called %j is an unknown tier', (tier) => {
    expect(costOf(model(), usage({ input: 1 }, { tier }), AT)).toMatchObject({ fault: 'price_tier_missing' })
  })
})

describe('the row', () => {
  test('is chosen by the larger reading when the classes exceed the reported total', () => {
    const long = row({ key: 'long', contextMin: 100, rates: rates({ input: 9_000_000, output: 9 }) })
    const priced = model({ rows: [row({ key: 'short', contextMax: 99 }), long] })
    expect(costOf(priced, usage({ input: 150 }, { inputTokens: 50 }), AT)).toMatchObject({ row: 'long' })
    expect(costOf(priced, usage({ input: 50 }, { inputTokens: 150 }), AT)).toMatchObject({ row: 'long' })
  })

  test('counts cached input into the band', () => {
    const long = row({ key: 'long', contextMin: 100 })
    const priced = model({ rows: [row({ key: 'short', contextMax: 99 }), long] })
    expect(costOf(priced, usage({ input: 1, cache_read: 98 }), AT)).toMatchObject({ row: 'short' })
    expect(costOf(priced, usage({ input: 1, cache_read: 99 }), AT)).toMatchObject({ row: 'long' })
  })
})

describe('the upper bound', () => {
  const TIERS = ['standard', 'flex', 'priority'] as const

  const anyModel: fc.Arbitrary<ModelPrice> = fc
    .record({
      bandEnd: fc.integer({ min: 1, max: 500_000 }),
      changeMs: fc.integer({ min: AT - 1_000_000, max: AT + 1_000_000 }),
      prices: fc.array(anyRates, { minLength: 12, maxLength: 12 }),
      geography: fc.dictionary(fc.constantFrom('us', 'eu', 'jp'), anyGeography),
      tiers: fc.subarray([...TIERS], { minLength: 1 }),
      isMapped: fc.boolean(),
    })
    .map(({ bandEnd, changeMs, prices, geography, tiers, isMapped }) => {
      const rows = tiers.flatMap((tier, t) =>
        [
          { fromMs: 0, untilMs: changeMs, contextMin: 0, contextMax: bandEnd },
          { fromMs: 0, untilMs: changeMs, contextMin: bandEnd + 1, contextMax: CONTEXT_UNBOUNDED },
          { fromMs: changeMs, untilMs: FOREVER_MS, contextMin: 0, contextMax: bandEnd },
          { fromMs: changeMs, untilMs: FOREVER_MS, contextMin: bandEnd + 1, contextMax: CONTEXT_UNBOUNDED },
        ].map((place, i) => row({ ...place, tier, key: `${tier}.${String(i)}`, rates: prices[t * 4 + i] ?? {} })),
      )
      const serviceTiers = {
        reported: { default: 'standard' },
        possible: { default: ['standard'], flex: ['flex', 'standard'] },
      }
      return model({ rows, geography, ...(isMapped ? { serviceTiers } : {}) })
    })

  const anyCall = fc.record({
    priced: anyModel,
    inputTokens: fc.nat(1_000_000),
    outputTokens: fc.nat(100_000),
    serviceTier: fc.option(fc.constantFrom('default', 'flex', 'auto', 'nonsense'), { nil: undefined }),
    longCacheWrites: fc.boolean(),
    searches: fc.nat(20),
    timeoutMs: fc.nat(2_000_000),
  })

  /** A usage within the bounds: input split at will over the input meters, a tier that is possible, any instant. */
  const within = (call: typeof anyCall extends fc.Arbitrary<infer T> ? T : never) =>
    fc.record({
      shares: fc.array(fc.nat(1_000), { minLength: 5, maxLength: 5 }),
      total: fc.nat(call.inputTokens),
      reported: fc.nat(call.inputTokens),
      output: fc.nat(call.outputTokens),
      searches: fc.nat(call.searches),
      tier: fc.constantFrom(...possibleTiers(call.priced, call.serviceTier)),
      geography: fc.constantFrom(undefined, 'global', ...Object.keys(call.priced.geography)),
      afterMs: fc.nat(call.timeoutMs),
    })

  test('is never below the cost of any usage within it, in any tier, band, geography and instant that can apply', () => {
    let compared = 0
    const anyCallAndUsage = anyCall.chain((call) => within(call).map((used) => ({ call, used })))
    fc.assert(
      fc.property(anyCallAndUsage, ({ call, used }) => {
        const calls = { web_search: call.searches }
        const upper = upperCost(call.priced, bounds({ ...call, calls }))
        if (upper.kind === 'unpriced') return
        const shares = call.longCacheWrites ? used.shares : [...used.shares.slice(0, 4), 0]
        const all = shares.reduce((sum, share) => sum + share, 0) || 1
        const split = shares.map((share) => Math.floor((used.total * share) / all))
        const [input = 0, cache_read = 0, cache_write = 0, cache_write_5m = 0, cache_write_1h = 0] = split
        const quantities = { input, cache_read, cache_write, cache_write_5m, cache_write_1h, output: used.output }
        const cost = costOf(
          call.priced,
          usage(
            { ...quantities, web_search: used.searches },
            {
              inputTokens: used.reported,
              tier: used.tier,
              ...(used.geography === undefined ? {} : { geography: used.geography }),
            },
          ),
          AT + used.afterMs,
        )
        if (cost.kind !== 'priced') return
        compared += 1
        expect(upper.nanoUsd).toBeGreaterThanOrEqual(cost.nanoUsd)
      }),
      { numRuns: 2_000 },
    )
    expect(compared).toBeGreaterThan(100)
  })

  test('includes a row that comes into force before the call can end', () => {
    const dear = row({ key: 'dear', fromMs: AT + 1_000, rates: rates({ input: 9_000_000_000, output: 9 }) })
    const priced = model({ rows: [row({ untilMs: AT + 1_000 }), dear] })
    const soon = upperCost(priced, bounds({ timeoutMs: 1_000, outputTokens: 0 }))
    const before = upperCost(priced, bounds({ timeoutMs: 999, outputTokens: 0 }))
    expect(soon).toMatchObject({ nanoUsd: 9_000_000n })
    expect(before).toMatchObject({ nanoUsd: 2_000_000n })
  })

  test('takes the one-hour rate for input exactly when one-hour cache writes are asked for', () => {
    const byTtl = rates({ input: 1_000_000, cache_write_5m: 1_250_000, cache_write_1h: 2_000_000, output: 0 })
    const priced = model({ rows: [row({ rates: byTtl })] })
    expect(upperCost(priced, bounds({ longCacheWrites: true }))).toMatchObject({ nanoUsd: 2_000n })
    expect(upperCost(priced, bounds())).toMatchObject({ nanoUsd: 1_250n })
  })

  test('has no value when one-hour cache writes are asked for and have no price', () => {
    const byTtl = rates({ input: 1, cache_write_5m: 2, output: 1 })
    const priced = model({ rows: [row({ rates: byTtl })] })
    expect(upperCost(priced, bounds({ longCacheWrites: true }))).toMatchObject({ detail: 'cache_write_1h' })
    expect(upperCost(priced, bounds())).toMatchObject({ kind: 'bounded' })
  })

  test('has no value when a tool call has no price', () => {
    expect(upperCost(model(), bounds({ calls: { web_search: 1 } }))).toMatchObject({ fault: 'price_meter_missing' })
  })
})
