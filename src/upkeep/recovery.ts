/**
 * What a start does before the first call: the log is the truth, so decisions that a killed process left open are closed, as
 * the ledger settled them or else at their bound, and a ledger that forgets on exit gets back what the log says was spent.
 */
import type { AuditRecord } from '../domain/audit/audit-record.ts'
import { foldSettlement, settledAmounts } from '../domain/ledger/balances.ts'
import type { SettledBalance } from '../domain/ledger/balances.ts'
import { foldLog } from '../domain/ledger/log-fold.ts'
import type { Clock, Ids } from '../ports.ts'
import type { AuditLog, IdleLog } from '../ports/audit-log.ts'
import type { Ledger } from '../ports/ledger.ts'
import { membersOf, textOf } from '../domain/audit/record-members.ts'
import { foldBeginnings } from '../domain/ledger/run-beginnings.ts'
import type { SpanBeginning } from '../domain/ledger/run-beginnings.ts'
import { LocalSpends } from './local-spends.ts'
import { closingRecord } from '../domain/audit/settlement-note.ts'

export interface Recovered {
  /** Decisions that were open when the process died, now settled at their bound. */
  readonly closed: number
  /** Balances given back to a ledger that forgets. */
  readonly restored: number
  /**
   * Tells a ledger that remembers by itself what this log settled last, as far as it does not know it. `isSameEpoch`: its
   * store is as the last process of this log left it; another one has been told the whole log by now.
   */
  readonly settleAgain: (isSameEpoch: boolean) => Promise<void>
}

/** Gives back what was spent, and when runs began. */
export type Restore = (balances: readonly SettledBalance[], spans: readonly SpanBeginning[]) => void

interface Recovery {
  readonly auditLog: AuditLog
  readonly ledger: Ledger
  readonly ids: Ids
  readonly clock: Clock
  /** Gives balances back; undefined for a ledger that remembers by itself. */
  readonly restore: Restore | undefined
  /** Logs of the same folder whose processes are gone: what they settled counts on. */
  readonly idleLogs: () => Promise<readonly IdleLog[]>
}

/** Settlements this close to the end of the log may not have reached the ledger before the process died. */
const RECENT_SETTLEMENTS_MAX = 1_000

export async function recover(recovery: Recovery): Promise<Recovered> {
  const { auditLog, clock } = recovery
  const open = new Map<string, AuditRecord>()
  const balances = new Map<string, SettledBalance>()
  const spans = new Map<string, SpanBeginning>()
  const recent: AuditRecord[] = []
  const spends = new LocalSpends(clock.nowMs())
  for await (const record of auditLog.records()) {
    if (record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit') open.set(record.id, record)
    spends.note(record)
    if (record.type !== 'settle') continue
    open.delete(textOf(membersOf(record['ref'])['id']))
    foldSettlement(record, balances, clock.nowMs())
    foldBeginnings(record, spans, clock.nowMs())
    recent.push(record)
    if (recent.length > RECENT_SETTLEMENTS_MAX) recent.shift()
  }
  for (const decision of open.values()) {
    const settlement = closingRecord(decision, recovery.ids.next(), await noteOf(decision, recovery.ledger))
    await auditLog.append(settlement)
    foldSettlement(settlement, balances, clock.nowMs())
    foldBeginnings(settlement, spans, clock.nowMs())
    const closed = { ...settlement, log: auditLog.origin, seq: -1, t: '' }
    spends.note(closed)
    recent.push(closed)
  }
  const { restore } = recovery
  restore?.([...balances.values()], [...spans.values()])
  if (restore !== undefined) await restoreOthers(recovery, restore)
  return {
    closed: open.size,
    restored: restore === undefined ? 0 : balances.size,
    async settleAgain(isSameEpoch) {
      if (restore !== undefined) return
      await settleAgain(recent, recovery.ledger)
      if (isSameEpoch) await spends.post(recovery.ledger)
    },
  }
}

/** What the other logs of the folder settled: their processes are gone, and their budgets go on. */
async function restoreOthers({ idleLogs, clock }: Recovery, restore: Restore): Promise<void> {
  const idle = await idleLogs()
  try {
    for (const log of idle) {
      const fold = foldLog(clock.nowMs())
      for await (const record of log.records()) fold.add(record)
      const { balances, spans } = fold.sums()
      restore(balances, spans)
    }
  } finally {
    for (const log of idle) log[Symbol.dispose]()
  }
}

/** What the ledger knows of a call that it had settled before the log could. */
async function noteOf(decision: AuditRecord, ledger: Ledger): Promise<string | undefined> {
  const id = decision['rsv']
  return typeof id === 'string' ? ledger.noteOf(id) : undefined
}

/** Settlements are idempotent: whatever the ledger still holds of these calls becomes what the log says. */
async function settleAgain(recent: readonly AuditRecord[], ledger: Ledger): Promise<void> {
  for (const record of recent) {
    const id = record['rsv']
    if (typeof id !== 'string') continue
    const hold = await ledger.find(id)
    if (hold === undefined) continue
    await ledger.settle(hold, settledAmounts(record, hold.charges))
  }
}
