/**
 * What a call used, in meters that never overlap: cached tokens are not counted again as input, reasoning tokens are
 * inside output. A provider's own numbers are normalised into these by its dialect.
 */

export const TOKEN_METERS = [
  'input',
  'cache_read',
  'cache_write',
  'cache_write_5m',
  'cache_write_1h',
  'output',
] as const

const CALL_METERS = ['web_search', 'file_search', 'request'] as const

export const METERS = [...TOKEN_METERS, ...CALL_METERS] as const

export type Meter = (typeof METERS)[number]

export type Quantities = Readonly<Partial<Record<Meter, number>>>

/** Usage of one answer. Quantities are whole numbers >= 0; an absent meter was not used. */
export interface Usage {
  readonly quantities: Quantities
  /** All input tokens, cached ones included. */
  readonly inputTokens: number
  /** All output tokens, reasoning included. */
  readonly outputTokens: number
  /** Output tokens that were hidden reasoning, for information; already inside `outputTokens`. */
  readonly reasoningTokens?: number
  /** Model name as the answer gives it. */
  readonly model?: string
  /** Service tier as the answer gives it; decides the price row. */
  readonly tier?: string
  /** Geography as the answer gives it; decides the multiplier. */
  readonly geography?: string
  /** False when the classes do not add up to the total the provider reported: then the larger reading is charged. */
  readonly consistent: boolean
}

/** How the numbers of a settlement are known. */
export type UsageBasis =
  /** The provider reported them. */
  | 'provider_usage'
  /** Output was counted from what was relayed; input was estimated, unless the provider had reported that much. */
  | 'counted_output'
  /** Nothing was seen: the estimate stands. */
  | 'estimate'
  /** The gateway died while the call was open: the upper bound stands. */
  | 'estimate_after_crash'
  /** Nothing was consumed. */
  | 'none'
