/**
 * What a start does before the first call: the log is the truth, so decisions that a killed process left open are closed at
 * their bound, and a ledger that forgets on exit gets back what the log says was spent.
 */
import type { AuditRecord, RecordDraft, RecordValue } from '../domain/audit-record.ts'
import { parseFormattedUsd, toAmount } from '../domain/money.ts'
import { crashRecord, listOf, membersOf } from '../domain/records.ts'
import type { AuditLog, Clock, Ids, Ledger } from '../ports.ts'

/** Settled amount of one budget accumulator; `windowEndMs` is null for a lifetime. */
export interface RestoredBalance {
  readonly key: string
  readonly settled: number
  readonly windowEndMs: number | null
}

export interface Recovered {
  /** Decisions that were open when the process died, now settled at their bound. */
  readonly closed: number
  /** Balances given back to a ledger that forgets. */
  readonly restored: number
}

interface Recovery {
  readonly auditLog: AuditLog
  readonly ledger: Ledger
  readonly ids: Ids
  readonly clock: Clock
  /** Gives balances back; undefined for a ledger that remembers by itself. */
  readonly restore: ((balances: readonly RestoredBalance[]) => void) | undefined
}

/** Settlements this close to the end of the log may not have reached the ledger before the process died. */
const RECENT_SETTLEMENTS_MAX = 10_000

export async function recover(recovery: Recovery): Promise<Recovered> {
  const { auditLog, clock } = recovery
  const open = new Map<string, AuditRecord>()
  const balances = new Map<string, RestoredBalance>()
  const recent: AuditRecord[] = []
  for await (const record of auditLog.records()) {
    if (record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit') open.set(record.id, record)
    if (record.type !== 'settle') continue
    open.delete(String(membersOf(record['ref'])['id']))
    fold(record, balances, clock.nowMs())
    recent.push(record)
    if (recent.length > RECENT_SETTLEMENTS_MAX) recent.shift()
  }
  for (const decision of open.values()) {
    const settlement = crashRecord(decision, recovery.ids.next())
    await auditLog.append(settlement)
    fold(settlement, balances, clock.nowMs())
    recent.push({ ...settlement, log: auditLog.origin, seq: -1, t: '' })
  }
  if (recovery.restore === undefined) await settleAgain(recent, recovery.ledger)
  else recovery.restore([...balances.values()])
  return { closed: open.size, restored: recovery.restore === undefined ? 0 : balances.size }
}

/** Adds a settlement to the balances of windows that are not over. */
function fold(record: RecordDraft, balances: Map<string, RestoredBalance>, nowMs: number): void {
  for (const entry of listOf(record['bkt'])) {
    const { id, kind, act, end } = membersOf(entry)
    if (kind !== 'budget' || typeof id !== 'string') continue
    const windowEndMs = typeof end === 'number' ? end : null
    if (windowEndMs !== null && windowEndMs <= nowMs) continue
    const settled = (balances.get(id)?.settled ?? 0) + amountOf(act)
    balances.set(id, { key: id, settled, windowEndMs })
  }
}

function amountOf(value: RecordValue | undefined): number {
  if (typeof value === 'number') return value
  const usd = typeof value === 'string' ? parseFormattedUsd(value) : undefined
  return usd === undefined ? 0 : toAmount(usd)
}

/** Settlements are idempotent: whatever the ledger still holds of these calls becomes what the log says. */
async function settleAgain(recent: readonly AuditRecord[], ledger: Ledger): Promise<void> {
  for (const record of recent) {
    const id = record['rsv']
    if (typeof id !== 'string') continue
    const hold = await ledger.find(id)
    if (hold === undefined) continue
    const acts = new Map(listOf(record['bkt']).map((entry) => [membersOf(entry)['id'], amountOf(membersOf(entry)['act'])]))
    const amounts = hold.charges.map((charge) => acts.get(charge.accumulator.key) ?? charge.amount)
    await ledger.settle(hold, amounts)
  }
}
