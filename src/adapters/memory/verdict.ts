/**
 * What one accumulator says about one charge, and the limit that it is judged by.
 */
import type { Accumulator, AccumulatorState } from '../../domain/ledger/accumulator.ts'

export interface Verdict {
  readonly state: AccumulatorState
  /** Undefined: there is room. Otherwise when time alone makes room, null when it never does. */
  readonly refusal: { readonly retryAfterMs: number | null } | undefined
  /** Takes the amount, judged or less; answers the bucket's mark, 0 for all other kinds. Nothing is written before it. */
  readonly take: (amount: number) => number
}

/** Limit and policy version as the newest node that asked gave them. */
export interface LimitInForce {
  readonly limit: number
  readonly version: number
}

/** The highest version wins; a node with an older policy is judged by the newer one's limit. */
export function limitInForce(accumulator: Accumulator, stored: LimitInForce | undefined): LimitInForce {
  const { limit, limitVersion: version } = accumulator
  if (stored && (stored.version > version || (stored.version === version && stored.limit === limit))) return stored
  return { limit, version }
}
