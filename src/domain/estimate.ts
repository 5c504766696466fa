/**
 * What a call can cost, before it is made. Budgets hold the upper bound; protective rates draw the expected value.
 */
import type { NanoUsd } from './money.ts'

export interface Range {
  readonly expected: number
  readonly upper: number
}

/** How the input bound was found, cheapest first. */
export type InputMethod = 'bytes' | 'tokenizer' | 'model_maximum'

export interface Estimate {
  readonly inputTokens: Range
  /** Over all choices. */
  readonly outputTokens: Range
  readonly cost: { readonly expected: NanoUsd; readonly upper: NanoUsd }
  readonly method: InputMethod
  /** The maximum for one choice that goes upstream: the caller's own, or the one the gateway injects. */
  readonly outputTokensMax: number
  /** True when the caller gave no maximum and the gateway set one. */
  readonly outputMaxInjected: boolean
}
