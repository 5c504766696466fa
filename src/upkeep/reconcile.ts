/**
 * What becomes of a hold that expired: the ledger charged it in full, and its owner's log says what is true. Only the owner
 * looks, because only it knows which of its calls still go on. A look writes nothing when there is nothing to do.
 */
import type { AuditRecord, RecordDraft } from '../domain/audit/audit-record.ts'
import { settledAmounts } from '../domain/ledger/balances.ts'
import { callOf, startedMsOf } from '../domain/call-id.ts'
import { AuditUnavailable } from '../domain/failures.ts'
import { expiredRecord } from '../domain/audit/expired-record.ts'
import { textOf } from '../domain/audit/record-members.ts'
import type { Hold, ReservationId } from '../domain/ledger/reservation.ts'
import { closingRecord } from '../domain/audit/settlement-note.ts'
import type { World } from '../ports.ts'
import { every } from './every.ts'
import type { OpenCallRegistry } from './open-calls.ts'

/** How often: expired holds are rare, and nobody waits for them. */
const RECONCILE_EVERY_MS = 60_000

/** Holds of one reading, with two records each: bounds its memory (about 12 MB). The rest waits for the next. */
const RECONCILE_MAX = 2_000

/** Readings of the log in one look: 20,000 holds a minute. */
const ROUNDS_MAX = 10

/**
 * The log is read from this long before the oldest of the calls: the clock of a node may have been set back in between, and
 * segments end where they end.
 */
const READ_BEFORE_MS = 3_600_000

type Reconciling = Pick<World, 'auditLog' | 'ids' | 'ledger' | 'rules'> & {
  readonly openCalls: Pick<OpenCallRegistry, 'calls'>
}

export interface Reconciled {
  /** The log had a settlement that the ledger had not. */
  readonly corrected: number
  /** The log had a decision and nothing else: it is settled at its bound now. */
  readonly closed: number
  /** The log had nothing: what was charged is on record now. */
  readonly recorded: number
  /** The call was refused, or went on under another reservation: nothing was sent under this one, and it is free again. */
  readonly freed: number
}

const NOTHING: Reconciled = { corrected: 0, closed: 0, recorded: 0, freed: 0 }

/** What the log has of one reservation. */
interface OnRecord {
  decision?: AuditRecord
  /** The decision of its call names no reservation, or another. */
  isUnused?: true
  settlement?: AuditRecord
}

type Looking = Reconciling &
  Pick<World, 'events'> & { readonly openCalls: Pick<OpenCallRegistry, 'calls' | 'done' | 'owed'> }

export function startReconciler(world: Looking): Disposable {
  return every(RECONCILE_EVERY_MS, () => look(world))
}

/** What the log is owed first, because a look takes the log for the truth. */
export async function look(world: Looking): Promise<void> {
  try {
    for (const { id, write } of world.openCalls.owed()) {
      await write()
      world.openCalls.done(id, 'audit', true)
    }
    for (let round = 0; round < ROUNDS_MAX; round += 1) {
      const count = countOf(await reconcile(world))
      if (count === 0) return
      world.events.holdsReconciled(count)
    }
  } catch (error) {
    if (error instanceof AuditUnavailable) world.events.auditFailed(error)
    else world.events.ledgerFailed('reconcile', error)
  }
}

export function countOf({ corrected, closed, recorded, freed }: Reconciled): number {
  return corrected + closed + recorded + freed
}

/** Accounts for the expired holds of this log's own calls. Stops at the first failure; what is left is found again. */
export async function reconcile(world: Reconciling): Promise<Reconciled> {
  const done = { ...NOTHING }
  const expired = await world.ledger.expired(world.auditLog.origin, RECONCILE_MAX)
  // A call that goes on settles late by itself. This is asked after the list was read: what is not open by now never is again.
  const open = new Set(world.openCalls.calls().map(({ hold }) => hold.id))
  const holds = expired.filter(({ id }) => !open.has(id))
  if (holds.length === 0) return done
  const known = await lookUp(holds, world)
  for (const hold of holds) done[await account(hold, known.get(hold.id) ?? {}, world)] += 1
  return done
}

/** The record comes first: when the ledger is not reached after it, the next look finds the record and settles by it. */
async function account(hold: Hold, found: OnRecord, world: Reconciling): Promise<keyof Reconciled> {
  const { settlement, decision, isUnused } = found
  if (settlement !== undefined) {
    await world.ledger.settle(hold, settledAmounts(settlement, hold.charges))
    return 'corrected'
  }
  if (decision === undefined && isUnused) {
    await world.ledger.void(hold)
    return 'freed'
  }
  const record = await missing(hold, decision, world)
  await world.auditLog.append(record)
  await world.ledger.settle(hold, settledAmounts(record, hold.charges))
  return decision === undefined ? 'recorded' : 'closed'
}

/** The record that the log lacks. A ledger of several stores may have found only a part of the hold expired so far. */
async function missing(hold: Hold, decision: AuditRecord | undefined, world: Reconciling): Promise<RecordDraft> {
  if (decision !== undefined) return closingRecord(decision, world.ids.next(), undefined)
  const whole = (await world.ledger.find(hold.id)) ?? hold
  return expiredRecord(whole, world.ids.next(), world.rules.policy())
}

/** One reading of the log, from before the oldest of these calls. */
async function lookUp(
  holds: readonly Hold[],
  { auditLog }: Reconciling,
): Promise<ReadonlyMap<ReservationId, OnRecord>> {
  const known = new Map<ReservationId, OnRecord>(holds.map(({ id }) => [id, {}]))
  const byCall = Map.groupBy(holds, ({ id }) => callOf(id))
  const began = holds.map(({ id }) => startedMsOf(callOf(id)))
  const sinceMs = Math.max(0, Math.min(...began.map((ms) => (Number.isNaN(ms) ? 0 : ms))) - READ_BEFORE_MS)
  for await (const record of auditLog.records({ sinceMs })) {
    if (record.type === 'decision') noteDecision(record, known, byCall.get(record.id) ?? [])
    if (record.type !== 'settle') continue
    const entry = known.get(textOf(record['rsv']))
    if (entry !== undefined) entry.settlement = record
  }
  return known
}

/** A decision names the reservation that its call goes on under; whatever else was reserved for the call was not used. */
function noteDecision(
  decision: AuditRecord,
  known: ReadonlyMap<ReservationId, OnRecord>,
  ofCall: readonly Hold[],
): void {
  for (const { id } of ofCall) {
    const entry = known.get(id)
    if (entry === undefined) continue
    if (decision['rsv'] === id) entry.decision = decision
    else entry.isUnused = true
  }
}
