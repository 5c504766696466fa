/**
 * One counter of a limit or budget for one key, and what one request takes from it. The ledger knows nothing else:
 * rules, dimensions and refusal texts stay above it.
 */

/** A stretch of calendar time, in epoch milliseconds; `endMs` is the first instant after it. */
export interface CalendarWindow {
  readonly startMs: number
  readonly endMs: number
}

export type AccumulatorShape =
  /**
   * Settled plus held within one calendar window, or for ever when `window` is null. With `keptMs`, which only a budget
   * without a window has, it is forgotten this long after its last charge or settlement.
   */
  | { readonly kind: 'budget'; readonly window: CalendarWindow | null; readonly keptMs?: number | undefined }
  /** Held only: how many calls are in flight. Every charge is 1. */
  | { readonly kind: 'concurrency' }
  /** Never above the limit in any true window: a ring of `slots + 1` sub-windows. */
  | { readonly kind: 'sliding'; readonly windowMs: number; readonly slots: number }
  /** GCRA in debt form: `limit` is the burst; the debt drains by `amount` every `periodMs`. */
  | { readonly kind: 'bucket'; readonly amount: number; readonly periodMs: number }
  /**
   * A stretch of time that begins with its first admitted charge and is `limit` milliseconds long; what has passed of it
   * is settled, nothing is held. Every charge is 1: a call needs a millisecond that is left. A refused call begins
   * nothing. It is forgotten `keptMs` after its end.
   */
  | { readonly kind: 'span'; readonly keptMs: number }

export interface Accumulator {
  /**
   * Stable name: rule id, key values (hashed when long) and, for calendar windows, the window's name. The limit is not
   * in it, so raising a limit keeps what was spent.
   */
  readonly key: string
  /** Virtual shard 0..1023 that holds it; all of one tenant share one. */
  readonly shard: number
  readonly shape: AccumulatorShape
  /** Whole number from 0 to 2^53 - 1, in the unit of its rule (nano-USD, tokens, calls, places, ms). */
  readonly limit: number
  /** Version of the policy that set `limit`; the highest version wins on every node. */
  readonly limitVersion: number
}

/** What a node may give on its own while the ledger is away: its share of the limit, or of what it last saw was left. */
export type AwayShare = 'of_limit' | 'of_rest'

/** What one request takes from one accumulator: a whole number >= 0. */
export interface Charge {
  readonly accumulator: Accumulator
  readonly amount: number
  /** Undefined: nothing. A ledger that answers takes no notice of it. */
  readonly awayShare?: AwayShare | undefined
}

/** State of one accumulator as read inside one decision, before that decision's own charge. */
export interface AccumulatorState {
  /** The limit in force (the newest version seen by the ledger). */
  readonly limit: number
  /** What is gone for good: settled spend, ring total, debt, or the time since a span began. */
  readonly settled: number
  /** What calls in flight hold. Rings and buckets hold nothing apart: their charge is in `settled` at once. */
  readonly held: number
}

/** Most accumulators one decision may touch: bounds the script's time; policies that need more are refused at load. */
export const ACCUMULATORS_MAX = 64
