/**
 * What the names of calls and reservations say: a call's id begins with its time, and a reservation's begins with its call's.
 */
import type { ReservationId } from './ledger/reservation.ts'

/** The call that reserves: no call's id has a dot, and what its reservation adds begins with one. */
export function callOf(reservation: ReservationId): string {
  const [call = reservation] = reservation.split('.', 1)
  return call
}

/** When a call began, in epoch milliseconds by the clock of its node; NaN for an id that is no UUIDv7. */
export function startedMsOf(callId: string): number {
  // A UUIDv7 begins with its time: 48 bits of epoch milliseconds (RFC 9562, section 5.7).
  return Number.parseInt(callId.replaceAll('-', '').slice(0, 12), 16)
}
