/**
 * What is decided about a call, with everything that was known when it was decided: the record is written from this.
 */
import type { AccumulatorState } from './ledger/accumulator.ts'
import type { Ask } from './ask.ts'
import type { Call } from './call.ts'
import type { PlannedCharge } from './ledger/charges.ts'
import type { Estimate } from './prices/estimate.ts'
import type { Identity } from './identity.ts'
import type { Policy, Upstream } from './policy/policy.ts'
import type { ModelPrice, PriceTable } from './prices/prices.ts'
import type { Refusal } from './refusal.ts'
import type { Hold } from './ledger/reservation.ts'

/** Where an admitted call goes. */
export interface Target {
  readonly upstream: Upstream
  /** The provider's own name of the model. */
  readonly model: string
}

/** What is known of a call so far. Each step adds to it; none takes away. */
export interface Facts {
  readonly call: Call
  readonly policy: Policy
  readonly prices: PriceTable
  readonly identity?: Identity
  readonly ask?: Ask
  readonly target?: Target
  readonly price?: ModelPrice
  readonly estimate?: Estimate
  readonly charges?: readonly PlannedCharge[]
  /** State of each charged accumulator before the charge; absent ones were not read. */
  readonly states?: readonly AccumulatorState[]
  /** When they were read, in epoch milliseconds by the ledger's clock as far as it is known. */
  readonly readAtMs?: number
}

export interface Refused {
  readonly kind: 'refused'
  readonly facts: Facts
  readonly refusal: Refusal
}

export interface Admitted {
  readonly kind: 'admitted'
  readonly facts: Required<Facts>
  readonly hold: Hold
}

export type Decision = Admitted | Refused
