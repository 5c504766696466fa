/**
 * The compiled price table: what each model costs, exactly. Names match exactly; what is not in the table has no price,
 * and what has no price is refused, never free.
 */
import type { Meter } from './usage.ts'

/** An exact non-negative fraction; multipliers such as "1.1" are kept as 11/10. */
export interface Ratio {
  readonly numerator: bigint
  readonly denominator: bigint
}

/** Price of one meter: `nanoUsd` for every `per` units (1e6 tokens, 1000 calls). */
export interface Rate {
  readonly nanoUsd: bigint
  readonly per: bigint
}

/** One row: in force for one service tier, one stretch of time and one band of total input. */
export interface PriceRow {
  readonly key: string
  /** Epoch milliseconds, inclusive. */
  readonly fromMs: number
  /** Epoch milliseconds, exclusive. */
  readonly untilMs: number
  readonly tier: string
  /** Inclusive bounds on total input tokens, cached ones included. */
  readonly contextMin: number
  readonly contextMax: number
  readonly rates: Readonly<Partial<Record<Meter, Rate>>>
}

export type Encoding = 'o200k_base' | 'cl100k_base'

export interface Tokenizer {
  /** The tiktoken encoding, or undefined when the vendor's tokenizer is not public. */
  readonly encoding: Encoding | undefined
  /** How sure the encoding is; only `documented` and `assumed` ones give an exact count. */
  readonly certainty: 'documented' | 'assumed' | 'measured'
  /** Most tokens one byte of text can become: 1 for byte-level BPE, 2.25 for Claude. */
  readonly bytesFactor: Ratio
  /** Expected tokens of this model for one o200k token; 1 when they are the same. */
  readonly ratioO200k: Ratio
}

/** What the provider's words for service tiers mean for the rows. */
export interface ServiceTiers {
  /** The word of an answer -> tier of the rows; a word that is not listed means itself. */
  readonly reported: Readonly<Record<string, string>>
  /**
   * The word of a request -> every tier its answer may be billed at; `absent` stands for no word. A word that is not
   * listed may be billed at any tier of the rows.
   */
  readonly possible: Readonly<Record<string, readonly string[]>>
}

/** Tier of an answer that names none. */
export const STANDARD_TIER = 'standard'

/** Stands for "no end" in `untilMs`: the last instant a Date can hold. Finite, so that it survives canonical JSON. */
export const FOREVER_MS = 8_640_000_000_000_000

/** Stands for "no bound" in `contextMax`. */
export const CONTEXT_UNBOUNDED = Number.MAX_SAFE_INTEGER

export interface ModelPrice {
  readonly provider: string
  readonly id: string
  readonly kind: string
  readonly context: number
  readonly inputMax: number
  readonly outputMax: number
  readonly tokenizer: Tokenizer
  /** Most tokens one image can become. */
  readonly imageTokensMax: number
  /** Multipliers by geography, e.g. `us: 11/10`. */
  readonly geography: Readonly<Record<string, Ratio>>
  readonly rows: readonly PriceRow[]
  /** Absent: answers name tiers as the rows do, and a request may be billed at any of them. */
  readonly serviceTiers?: ServiceTiers
}

export interface PriceTable {
  /** SHA-256 (hex) of the canonical compiled table: the price version on every record. */
  readonly version: string
  /** Canonical JSON the version was computed over. */
  readonly canonical: string
  /** Exact lookup by provider and model id, alias or snapshot. */
  find(provider: string, model: string): ModelPrice | undefined
}

const DECIMAL_RATIO = /^(\d{1,4})(?:\.(\d{1,6}))?$/

/** Reads a decimal such as `"1.1"` as the exact fraction 11/10 (at most 6 decimals, no sign, no exponent). */
export function parseRatio(text: string): Ratio | undefined {
  const match = DECIMAL_RATIO.exec(text)
  if (!match) return undefined
  const [, whole = '0', fraction = ''] = match
  return { numerator: BigInt(whole + fraction), denominator: 10n ** BigInt(fraction.length) }
}

/** `left < right`, exactly. */
export function isLessRate(left: Rate, right: Rate): boolean {
  return left.nanoUsd * right.per < right.nanoUsd * left.per
}

/** A count times a ratio, rounded up; saturates at the largest safe integer. */
export function scaleUp(count: number, ratio: Ratio): number {
  if (count >= Number.MAX_SAFE_INTEGER) return Number.MAX_SAFE_INTEGER
  const scaled = (BigInt(Math.ceil(count)) * ratio.numerator + ratio.denominator - 1n) / ratio.denominator
  return scaled > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(scaled)
}
