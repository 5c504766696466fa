/**
 * Holds with the end of their lease, or the instant at which they expired, and how they are listed.
 */
import type { ExpiredHold, Hold, OpenHold } from '../../domain/ledger/reservation.ts'

export interface Lease {
  readonly hold: Hold
  readonly untilMs: number
}

export interface Expired {
  readonly hold: Hold
  readonly atMs: number
}

/** Oldest lease first; the id makes the order total. */
export function byLease(left: Lease, right: Lease): number {
  if (left.untilMs !== right.untilMs) return left.untilMs - right.untilMs
  return left.hold.id < right.hold.id ? -1 : 1
}

/** Longest expired first. */
export function byExpiry(left: Expired, right: Expired): number {
  if (left.atMs !== right.atMs) return left.atMs - right.atMs
  return left.hold.id < right.hold.id ? -1 : 1
}

export function listed(hold: Hold): ExpiredHold {
  return { id: hold.id, charges: hold.charges.map(({ accumulator, amount }) => ({ key: accumulator.key, amount })) }
}

export function opened({ hold, untilMs }: Lease): OpenHold {
  return { ...listed(hold), owner: hold.owner, atUs: hold.atUs, leaseUntilMs: untilMs }
}
