/**
 * A reservation is held, then settled, voided or expired. It is named by its caller, so every step is safe to repeat.
 */
import type { AccumulatorState, Charge } from './accumulator.ts'
import type { Fit } from './fit.ts'

/** `<call id>.<attempt>`: each upstream attempt reserves for itself, because each may be billed. */
export type ReservationId = string

/** Ends the id of a reservation that a node decided on its own while the ledger was away. */
const LOCAL_SUFFIX = '.local'

/** The id under which a node decides on its own what `id` could not be decided under. */
export function localId(id: ReservationId): ReservationId {
  return `${id}${LOCAL_SUFFIX}`
}

/** Whether a node decided it on its own; its spend is posted to the ledger afterwards. */
export function isLocal(id: ReservationId): boolean {
  return id.endsWith(LOCAL_SUFFIX)
}

export interface ReservationRequest {
  readonly id: ReservationId
  readonly charges: readonly Charge[]
  /** How long the hold lives without being extended, in milliseconds. */
  readonly leaseMs: number
  /** Origin of the audit log that records the call: it accounts for the hold when nobody settled it in time. */
  readonly owner: string
  /** Lets the ledger hold less, for a shorter answer, where the whole has no room. */
  readonly fit?: Fit | undefined
}

/** Everything a later settle needs to know of a hold. Plain data: it survives JSON. */
export interface Hold {
  readonly id: ReservationId
  readonly charges: readonly Charge[]
  /** Instant of the reservation by the ledger's own clock, in epoch microseconds. */
  readonly atUs: number
  /**
   * Per charge: for buckets the debt after the charge plus all refunds so far (the safe refund needs it), for spans the
   * instant at which they began (epoch milliseconds), else 0. Zero
   * when unknown, which only means that nothing is refunded to the bucket. {@link REASSERTED_MARK} for rings and buckets
   * of a hold that a store had lost.
   */
  readonly marks: readonly number[]
  /** As in {@link ReservationRequest}. */
  readonly owner: string
}

/**
 * Mark of a ring or bucket whose store lost the charge: it started anew without it, so a settlement gives nothing back
 * there and adds only what the call cost beyond its charge.
 */
export const REASSERTED_MARK = -1

/** The marks of a hold that a store had lost: a span goes on from where it began. */
export function reassertedMarks(hold: Pick<Hold, 'charges' | 'marks' | 'atUs'>): readonly number[] {
  return hold.charges.map(({ accumulator: { shape } }, index) => {
    if (shape.kind === 'span') return beganMs(hold, index)
    return shape.kind === 'sliding' || shape.kind === 'bucket' ? REASSERTED_MARK : 0
  })
}

/** When the span began that the charge of this index is on; a hold without marks began it, as far as is known. */
export function beganMs({ marks, atUs }: Pick<Hold, 'marks' | 'atUs'>, index: number): number {
  const mark = marks[index] ?? 0
  return mark > 0 ? mark : Math.floor(atUs / 1_000)
}

/** One accumulator that has no room. */
export interface Shortfall {
  /** Index into the request's charges. */
  readonly index: number
  readonly state: AccumulatorState
  /**
   * Milliseconds until time alone makes room, or null when it never will (the charge is above the limit, or only
   * settlements can free it).
   */
  readonly retryAfterMs: number | null
}

export type ReserveOutcome =
  /** All charges are held. `states` are as read before them, one per charge. */
  | {
      readonly kind: 'held'
      /** Its amounts are those of the granted answer. */
      readonly hold: Hold
      readonly states: readonly AccumulatorState[]
      /** For a request with `fit`: the maximum of output tokens for one choice that is held for. */
      readonly granted?: number
    }
  /** None is: every accumulator without room is listed, the others are untouched. */
  | { readonly kind: 'refused'; readonly shortfalls: readonly Shortfall[] }
  /** The id is known. `held`: the first answer stands. Otherwise the call must not go on. */
  | { readonly kind: 'duplicate'; readonly state: 'held' | 'expired' | 'settled' }
  /** A calendar window does not contain the ledger's clock: compute the windows for `nowMs` and ask again. */
  | { readonly kind: 'stale'; readonly nowMs: number }

export type SettleOutcome =
  /**
   * `overshoot`: how many accumulators were charged more than they held; must be 0 while bounds are bounds. `unknown`: the
   * ledger had no such hold, and the caller insisted.
   */
  | { readonly kind: 'settled'; readonly before: 'held' | 'expired' | 'unknown'; readonly overshoot: number }
  /** It was settled before: nothing changed. */
  | { readonly kind: 'already' }
  /** The id is not known and the caller did not insist. */
  | { readonly kind: 'unknown' }
  /** Decided by this node while the ledger was away: the ledger gets it when it is back. */
  | { readonly kind: 'deferred' }

/** What became of a hold that its owner brought back. */
export type ReassertOutcome =
  /** The ledger did not know it: it is held again. */
  | { readonly kind: 'reasserted' }
  /** The ledger knows it, and left it as it is. */
  | { readonly kind: 'known'; readonly state: 'held' | 'expired' | 'settled' }

/** A hold that outlived its lease and was charged in full. */
export interface ExpiredHold {
  readonly id: ReservationId
  readonly charges: readonly { readonly key: string; readonly amount: number }[]
}

/** A hold as `ledger show` lists it. */
export interface OpenHold {
  readonly id: ReservationId
  /** The log that records the call. */
  readonly owner: string
  readonly atUs: number
  readonly leaseUntilMs: number
  readonly charges: readonly { readonly key: string; readonly amount: number }[]
}

/** A budget as it is stored. */
export interface StoredBudget {
  readonly key: string
  readonly settled: number
  readonly held: number
  /** The newest there was; undefined when nobody has reserved from it since the store lost it. */
  readonly limit: number | undefined
}

/** Some of the budgets of a ledger. */
export interface BudgetPage {
  /** How many were looked at, wanted or not. */
  readonly seen: number
  readonly budgets: readonly StoredBudget[]
}

/** A hold lives this long without a heartbeat. Longer than any pause of a healthy process, short enough to see a crash. */
export const LEASE_MS = 90_000

/**
 * No call lives longer, and no hold is extended beyond it: far more than the longest answers that providers stream, so what
 * is still open then is a stream that nobody ends, and it would hold its budgets for ever.
 */
export const CALL_LIFE_MAX_MS = 3 * 3_600_000

/** Open holds are extended this often: three chances within one lease. */
export const HEARTBEAT_MS = 30_000
