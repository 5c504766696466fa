/**
 * Price file -> price table: every name resolved, every price an integer, in one order that does not depend on how the
 * files were written. The canonical text holds exactly what decides a price, so a comment or a re-check date leaves the
 * version as it is, and anyone can recompute a record from the text of its version.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../domain/audit/canonical-json.ts'
import { formatUsd, parseUsd, toNanoUsd } from '../../domain/prices/money.ts'
import {
  CONTEXT_UNBOUNDED,
  FOREVER_MS,
  parseRatio,
  type ModelPrice,
  type PriceRow,
  type PriceTable,
  type Rate,
  type Ratio,
  type ServiceTiers,
} from '../../domain/prices/prices.ts'
import { METERS, TOKEN_METERS, type Meter } from '../../domain/prices/usage.ts'
import { instantMs, type PriceFileModel, type PriceFileRow } from './pricing-schema.ts'

/** An entry that counts, after overrides. */
export interface CompiledEntry {
  readonly provider: string
  /** Id, aliases and snapshots. */
  readonly names: readonly string[]
  readonly price: ModelPrice
  /** False when no source states its context: it keeps its name but has no bound, so it has no usable price. */
  readonly isBounded: boolean
}

const PER_TOKENS = 1_000_000n
const PER_CALLS = 1_000n
const TOKENS: ReadonlySet<Meter> = new Set<Meter>(TOKEN_METERS)

export function compileEntry(provider: string, model: PriceFileModel, tiers: ServiceTiers | undefined): CompiledEntry {
  const context = model.limits?.context ?? 0
  const price: ModelPrice = {
    provider,
    id: model.id,
    kind: model.kind,
    context,
    inputMax: Math.min(model.limits?.max_input ?? context, context),
    outputMax: model.limits?.max_output ?? context,
    tokenizer: {
      encoding: model.tokenizer.encoding,
      certainty: model.tokenizer.certainty,
      bytesFactor: ratioOf(model.tokenizer.bytes_factor),
      ratioO200k: ratioOf(model.tokenizer.ratio_o200k),
    },
    imageTokensMax: model.images?.max_tokens ?? 0,
    geography: Object.fromEntries(Object.entries(model.geography).map(([name, text]) => [name, ratioOf(text)])),
    rows: model.rows.map(compileRow).toSorted(inOrder),
    ...(tiers === undefined ? {} : { serviceTiers: tiers }),
  }
  return {
    provider,
    names: [model.id, ...model.aliases, ...model.snapshots],
    price,
    isBounded: model.limits !== undefined,
  }
}

export function compileRow(row: PriceFileRow): PriceRow {
  return {
    key: row.key,
    fromMs: row.from === undefined ? 0 : (instantMs(row.from) ?? 0),
    untilMs: row.until === undefined ? FOREVER_MS : (instantMs(row.until) ?? 0),
    tier: row.tier,
    contextMin: row.context?.min ?? 0,
    contextMax: row.context?.max ?? CONTEXT_UNBOUNDED,
    rates: compileRates(row),
  }
}

function compileRates(row: PriceFileRow): Partial<Record<Meter, Rate>> {
  const rates: Partial<Record<Meter, Rate>> = {}
  for (const meter of METERS) {
    const nanoUsd = parseUsd(row.rates[meter] ?? '')
    if (nanoUsd !== undefined) rates[meter] = { nanoUsd, per: TOKENS.has(meter) ? PER_TOKENS : PER_CALLS }
  }
  return rates
}

/** The table of all entries. */
export function compileTable(entries: readonly CompiledEntry[]): PriceTable {
  const sorted = entries.toSorted((a, b) => (nameOf(a) < nameOf(b) ? -1 : 1))
  const canonical = canonicalJson({ schema: 'tollgate/pricing/1', models: sorted.map(canonicalEntry) })
  const byName = new Map<string, ModelPrice>()
  for (const entry of sorted) {
    if (entry.isBounded) for (const name of entry.names) byName.set(keyOf(entry.provider, name), entry.price)
  }
  return {
    version: createHash('sha256').update(canonical).digest('hex'),
    canonical,
    find: (provider, model) => byName.get(keyOf(provider, model)),
  }
}

/** NUL is in no name, so two pairs never share a key. */
function keyOf(provider: string, name: string): string {
  return `${provider}\0${name}`
}

function nameOf(entry: CompiledEntry): string {
  return keyOf(entry.provider, entry.price.id)
}

function canonicalEntry(entry: CompiledEntry): unknown {
  const { price } = entry
  return {
    provider: entry.provider,
    id: price.id,
    kind: price.kind,
    names: entry.names.toSorted(),
    bounded: entry.isBounded,
    limits: { context: price.context, input: price.inputMax, output: price.outputMax, image: price.imageTokensMax },
    tokenizer: {
      encoding: price.tokenizer.encoding,
      certainty: price.tokenizer.certainty,
      bytesFactor: ratioText(price.tokenizer.bytesFactor),
      ratioO200k: ratioText(price.tokenizer.ratioO200k),
    },
    geography: Object.fromEntries(Object.entries(price.geography).map(([name, ratio]) => [name, ratioText(ratio)])),
    serviceTiers: price.serviceTiers,
    rows: price.rows.map(canonicalRow),
  }
}

function canonicalRow(row: PriceRow): unknown {
  const rates = METERS.flatMap((meter) => {
    const rate = row.rates[meter]
    return rate === undefined ? [] : [[meter, { usd: formatUsd(toNanoUsd(rate.nanoUsd)), per: Number(rate.per) }]]
  })
  return { ...row, rates: Object.fromEntries(rates) }
}

/** In lowest terms, so that "1.10" and "1.1" are one price. */
function ratioText(ratio: Ratio): string {
  const divisor = greatestDivisor(ratio.numerator, ratio.denominator)
  return `${String(ratio.numerator / divisor)}/${String(ratio.denominator / divisor)}`
}

function greatestDivisor(left: bigint, right: bigint): bigint {
  return right === 0n ? left : greatestDivisor(right, left % right)
}

/** The schema has checked that the text is a ratio; a text that is not would price at nothing, so it fails loudly. */
function ratioOf(text: string): Ratio {
  const ratio = parseRatio(text)
  if (ratio === undefined) throw new TypeError(`not a ratio: ${text}`)
  return ratio
}

function inOrder(left: PriceRow, right: PriceRow): number {
  if (left.tier !== right.tier) return left.tier < right.tier ? -1 : 1
  return left.fromMs - right.fromMs || left.contextMin - right.contextMin
}
