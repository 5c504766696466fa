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
}

export interface PriceTable {
  /** SHA-256 (hex) of the canonical compiled table: the price version on every record. */
  readonly version: string
  /** Canonical JSON the version was computed over. */
  readonly canonical: string
  /** Exact lookup by provider and model id, alias or snapshot. */
  find(provider: string, model: string): ModelPrice | undefined
}
