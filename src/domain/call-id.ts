/**
 * What the names of calls and reservations say: a call's id begins with its time, and a reservation's begins with its call's.
 */
import type { ReservationId } from './reservation.ts'

/** The call that an attempt reserves for. */
export function callOf(reservation: ReservationId): string {
  const end = reservation.lastIndexOf('.')
  return end === -1 ? reservation : reservation.slice(0, end)
}

/** When a call began, in epoch milliseconds by the clock of its node; NaN for an id that is no UUIDv7. */
export function startedMsOf(callId: string): number {
  // A UUIDv7 begins with its time: 48 bits of epoch milliseconds (RFC 9562, section 5.7).
  return Number.parseInt(callId.replaceAll('-', '').slice(0, 12), 16)
}
