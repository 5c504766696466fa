/**
 * What a call turned out to be and to cost.
 */
import type { Admitted } from './decision.ts'
import type { NanoUsd } from './prices/money.ts'
import type { Meter, Usage, UsageBasis } from './prices/usage.ts'

/** How the call ended, in the words of the record. */
export type EndingWord =
  | 'ok'
  /** The provider refused it before any token. */
  | 'upstream_refused'
  | 'upstream_error'
  | 'client_abort'
  | 'timeout'
  | 'crash'

/** What the route step learned by the end of a call; the settle step turns it into money. */
export interface Ending {
  readonly word: EndingWord
  /** `nothing`: no token can have been spent. `maybe`: the provider had the request. */
  readonly consumed: 'nothing' | 'maybe'
  /** True when this side gave the call up although its answer may have been on its way: the whole bound is charged. */
  readonly givenUp?: boolean
  /** As reported by the provider; undefined when it reported none. */
  readonly usage: Usage | undefined
  /** Whether the answer broke off: the usage reported until then may leave out output that was given. */
  readonly truncated?: boolean
  /** Generated text that was seen, for counting when there is no usage. */
  readonly outputTexts: () => readonly string[]
  /** Bytes of generated text beyond those texts; each counts as one token. */
  readonly outputBytesBeyond: number
  readonly status: number
  readonly upstreamRequestId: string | undefined
  readonly totalMs: number
  readonly firstByteMs: number | undefined
}

export interface CostLine {
  readonly meter: Meter
  readonly quantity: number
  readonly nanoUsd: NanoUsd
}

export interface Settlement {
  readonly admitted: Admitted
  readonly ending: Ending
  readonly basis: UsageBasis
  readonly usage: Usage
  readonly cost: NanoUsd
  readonly lines: readonly CostLine[]
  /** What each charge of the hold becomes, in the order of the charges. */
  readonly amounts: readonly number[]
  /** Anything odd about the numbers: `settled_at_bound`, `usage_inconsistent`, `price_meter_missing`, `model_mismatch`, `bound_exceeded`. */
  readonly flags: readonly string[]
}
