/**
 * What the scripts answered, as outcomes of the ledger.
 */
import type {
  ReassertOutcome,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from '../../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../../domain/failures.ts'
import { readTaken } from '../plan.ts'
import { toRecordState } from '../replies.ts'
import type { Reply } from '../replies.ts'

export function toReserveOutcome(
  { id, charges, owner }: Omit<ReservationRequest, 'leaseMs'>,
  reply: Reply,
): ReserveOutcome {
  const kind = reply.text()
  if (kind === 'refused') return { kind, shortfalls: reply.shortfalls() }
  if (kind === 'duplicate') return { kind, state: toRecordState(reply.text()) }
  if (kind === 'stale') return { kind, nowMs: reply.integer() }
  if (kind !== 'held') throw new LedgerUnavailable(`Redis: reserve answered ${JSON.stringify(kind)}`)
  const atUs = reply.integer()
  const { granted, ...taken } = readTaken(reply.text(), charges)
  const hold = { id, ...taken, atUs, owner }
  return { kind, hold, states: reply.states(), ...(granted !== undefined && { granted }) }
}

export function toSettleOutcome(reply: Reply): SettleOutcome {
  const kind = reply.text()
  if (kind === 'already' || kind === 'unknown') return { kind }
  if (kind !== 'settled') throw new LedgerUnavailable(`Redis: settle answered ${JSON.stringify(kind)}`)
  const letter = reply.text()
  const overshoot = reply.integer()
  if (letter === '-') return { kind, before: 'unknown', overshoot }
  return { kind, before: letter === 'R' ? 'held' : 'expired', overshoot }
}

export function toReassertOutcome(reply: Reply): ReassertOutcome {
  const kind = reply.text()
  if (kind === 'reasserted') return { kind }
  if (kind === 'known') return { kind, state: toRecordState(reply.text()) }
  throw new LedgerUnavailable(`Redis: reassert answered ${JSON.stringify(kind)}`)
}
