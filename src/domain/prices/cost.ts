/**
 * Cost arithmetic. A cost is an exact fraction of nano-dollars until one rounding up for the whole request, so adding
 * meters loses nothing and a request is never charged more than one nano-dollar above its exact price. What the table
 * does not price is a fault, never zero: a call whose cost is not known cannot be let through a budget as free.
 */
import { divideRoundingUp, maxUsd, toNanoUsd, ZERO_USD, type NanoUsd } from './money.ts'
import { isLessRate, STANDARD_TIER, type ModelPrice, type PriceRow, type Rate, type Ratio } from './prices.ts'
import { METERS, TOKEN_METERS, type Meter, type Quantities, type Usage } from './usage.ts'

export type PriceFault =
  /** No row of the table is of this service tier. */
  | 'price_tier_missing'
  /** No row of the tier is in force for this instant and this much input. */
  | 'price_row_missing'
  /** The row in force has no rate for a meter that was used. */
  | 'price_meter_missing'
  /** The answer came from a geography that has no multiplier. */
  | 'price_geography_missing'
  /** A quantity is not a whole number from 0 up. */
  | 'usage_invalid'

export interface Unpriced {
  readonly kind: 'unpriced'
  readonly fault: PriceFault
  /** The tier, meter or geography in question. */
  readonly detail: string
}

export interface PricedLine {
  readonly meter: Meter
  readonly quantity: number
  /** This line's share of the total: shares add up to the total exactly, each within one nano-dollar of its own price. */
  readonly nanoUsd: NanoUsd
}

/** What a call cost, or why that is not known. */
export type Priced = PricedCost | Unpriced

export interface PricedCost {
  readonly kind: 'priced'
  readonly nanoUsd: NanoUsd
  readonly lines: readonly PricedLine[]
  /** Key of the row that priced it. */
  readonly row: string
  readonly tier: string
  /** Geography whose multiplier was applied; undefined when none was. */
  readonly geography: string | undefined
}

/** The most a call can use. Calls are by meter of the call kind; tokens are totals. */
export interface CostBounds {
  readonly inputTokens: number
  readonly outputTokens: number
  /** The tier the request asks for, or undefined. */
  readonly serviceTier: string | undefined
  readonly longCacheWrites: boolean
  readonly calls: Quantities
  /** The call is priced at some instant of `[atMs, atMs + timeoutMs]`. */
  readonly atMs: number
  readonly timeoutMs: number
}

const ONE: Ratio = { numerator: 1n, denominator: 1n }

/** Words of an answer that mean "no particular geography". */
const GEOGRAPHY_NEUTRAL: ReadonlySet<string> = new Set(['global', 'not_available'])

/** Every meter that one token of input can fall under, except the one-hour cache write, which has to be asked for. */
const INPUT_METERS = ['input', 'cache_read', 'cache_write', 'cache_write_5m'] as const satisfies readonly Meter[]

const ALL_INPUT_METERS = [...INPUT_METERS, 'cache_write_1h'] as const satisfies readonly Meter[]

/** Geography multiplies tokens, not calls: vendors publish it per token class. */
const MULTIPLIED: ReadonlySet<Meter> = new Set<Meter>(TOKEN_METERS)

/** The most a call can cost, or why it has no bound. */
export type BoundedCost = { readonly kind: 'bounded'; readonly nanoUsd: NanoUsd } | Unpriced

const unpriced = (fault: PriceFault, detail: string): Unpriced => ({ kind: 'unpriced', fault, detail })

/** What a call cost, by the usage of its answer and the row in force at `atMs`. */
export function costOf(model: ModelPrice, usage: Usage, atMs: number): Priced {
  const invalid = METERS.find((meter) => !isQuantity(usage.quantities[meter] ?? 0))
  if (invalid !== undefined) return unpriced('usage_invalid', invalid)
  const tier = reportedTier(model, usage.tier)
  const row = selectRow(model, { tier, atMs, inputTokens: totalInput(usage) })
  if ('fault' in row) return row
  const multiplier = multiplierOf(model, usage.geography)
  if (multiplier === undefined) return unpriced('price_geography_missing', usage.geography ?? '')
  const lines = priceLines(row, usage.quantities, multiplier)
  if ('fault' in lines) return lines
  return {
    kind: 'priced',
    nanoUsd: toNanoUsd(lines.reduce((sum, line) => sum + line.nanoUsd, 0n)),
    lines,
    row: row.key,
    tier,
    geography: multiplier === ONE ? undefined : usage.geography,
  }
}

/**
 * The most a call within the bounds can cost: the maximum over every row that can still apply to it. Input may be billed
 * under any input meter, because some models write their cache unasked.
 */
export function upperCost(model: ModelPrice, bounds: CostBounds): BoundedCost {
  const tiers = possibleTiers(model, bounds.serviceTier)
  const rows = model.rows.filter((row) => tiers.includes(row.tier) && canApply(row, bounds))
  if (rows.length === 0) return unpriced('price_row_missing', bounds.serviceTier ?? STANDARD_TIER)
  const multiplier = Object.values(model.geography).reduce(largerRatio, ONE)
  let nanoUsd = ZERO_USD
  for (const row of rows) {
    const worst = worstQuantities(row, bounds)
    if ('fault' in worst) return worst
    const lines = priceLines(row, worst, multiplier)
    if ('fault' in lines) return lines
    nanoUsd = maxUsd(nanoUsd, toNanoUsd(lines.reduce((sum, line) => sum + line.nanoUsd, 0n)))
  }
  return { kind: 'bounded', nanoUsd }
}

/** Every tier an answer to this request may be billed at. */
export function possibleTiers(model: ModelPrice, requested: string | undefined): readonly string[] {
  const possible = model.serviceTiers?.possible ?? {}
  const word = requested ?? 'absent'
  const listed = Object.hasOwn(possible, word) ? possible[word] : undefined
  return listed ?? [...new Set(model.rows.map((row) => row.tier))]
}

/** The row in force, or why there is none. The compiler proves that there is at most one. */
function selectRow(
  model: ModelPrice,
  at: { readonly tier: string; readonly atMs: number; readonly inputTokens: number },
): PriceRow | Unpriced {
  const ofTier = model.rows.filter((row) => row.tier === at.tier)
  if (ofTier.length === 0) return unpriced('price_tier_missing', at.tier)
  const row = ofTier.find(
    (row) =>
      row.fromMs <= at.atMs &&
      at.atMs < row.untilMs &&
      row.contextMin <= at.inputTokens &&
      at.inputTokens <= row.contextMax,
  )
  return row ?? unpriced('price_row_missing', at.tier)
}

function reportedTier(model: ModelPrice, tier: string | undefined): string {
  if (tier === undefined) return STANDARD_TIER
  const reported = model.serviceTiers?.reported ?? { default: STANDARD_TIER }
  return (Object.hasOwn(reported, tier) ? reported[tier] : undefined) ?? tier
}

/** The larger reading of total input: a provider whose classes exceed its own total is charged by the classes. */
function totalInput(usage: Usage): number {
  const classes = ALL_INPUT_METERS.reduce((sum, meter) => sum + (usage.quantities[meter] ?? 0), 0)
  return Math.max(classes, usage.inputTokens)
}

/** Whether the word names no particular geography, which costs what the rows say. */
export function isNeutralGeography(word: string): boolean {
  return GEOGRAPHY_NEUTRAL.has(word)
}

function multiplierOf(model: ModelPrice, geography: string | undefined): Ratio | undefined {
  if (geography === undefined || isNeutralGeography(geography)) return ONE
  return Object.hasOwn(model.geography, geography) ? model.geography[geography] : undefined
}

/** Lines in the order of the meters; each is the step its own price adds to the rounded-up running total. */
function priceLines(row: PriceRow, quantities: Quantities, multiplier: Ratio): PricedLine[] | Unpriced {
  const lines: PricedLine[] = []
  let sum: Ratio = { numerator: 0n, denominator: 1n }
  for (const meter of METERS) {
    const quantity = quantities[meter] ?? 0
    if (quantity === 0) continue
    const rate = row.rates[meter]
    if (rate === undefined) return unpriced('price_meter_missing', meter)
    const next = addRatio(sum, exactPrice(rate, quantity, MULTIPLIED.has(meter) ? multiplier : ONE))
    const step = roundUp(next) - roundUp(sum)
    lines.push({ meter, quantity, nanoUsd: toNanoUsd(step) })
    sum = next
  }
  return lines
}

function exactPrice(rate: Rate, quantity: number, multiplier: Ratio): Ratio {
  return {
    numerator: BigInt(quantity) * rate.nanoUsd * multiplier.numerator,
    denominator: rate.per * multiplier.denominator,
  }
}

function addRatio(left: Ratio, right: Ratio): Ratio {
  if (left.denominator === right.denominator) {
    return { numerator: left.numerator + right.numerator, denominator: left.denominator }
  }
  return {
    numerator: left.numerator * right.denominator + right.numerator * left.denominator,
    denominator: left.denominator * right.denominator,
  }
}

function roundUp(ratio: Ratio): bigint {
  return divideRoundingUp(ratio.numerator, ratio.denominator)
}

function largerRatio(left: Ratio, right: Ratio): Ratio {
  return left.numerator * right.denominator >= right.numerator * left.denominator ? left : right
}

function isQuantity(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0
}

function canApply(row: PriceRow, bounds: CostBounds): boolean {
  const inTime = row.fromMs <= bounds.atMs + bounds.timeoutMs && bounds.atMs < row.untilMs
  return inTime && row.contextMin <= bounds.inputTokens
}

/** The dearest usage this row can bill: all input under its dearest input meter, up to the end of the row's band. */
function worstQuantities(row: PriceRow, bounds: CostBounds): Quantities | Unpriced {
  const tokens = Math.min(bounds.inputTokens, row.contextMax)
  const pricedByTtl = row.rates.cache_write_5m !== undefined
  if (bounds.longCacheWrites && pricedByTtl && row.rates.cache_write_1h === undefined) {
    return unpriced('price_meter_missing', 'cache_write_1h')
  }
  const dearest = dearestMeter(row, bounds.longCacheWrites ? ALL_INPUT_METERS : INPUT_METERS)
  if (dearest === undefined) return unpriced('price_meter_missing', 'input')
  return { ...bounds.calls, [dearest]: tokens, output: bounds.outputTokens }
}

function dearestMeter(row: PriceRow, meters: readonly Meter[]): Meter | undefined {
  let dearest: { meter: Meter; rate: Rate } | undefined
  for (const meter of meters) {
    const rate = row.rates[meter]
    if (rate && (!dearest || isLessRate(dearest.rate, rate))) dearest = { meter, rate }
  }
  return dearest?.meter
}
