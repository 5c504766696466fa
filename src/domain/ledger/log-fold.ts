/**
 * What a log says that a ledger has to be told which lost it: what was settled of each budget whose window is not over, and
 * when each run began that is not forgotten. Rings and buckets only protect and start anew; places come back with the
 * holds of open calls.
 */
import { restoredWindowKeptUntilMs } from './accumulator-geometry.ts'
import type { AuditRecord, RecordDraft } from '../audit/audit-record.ts'
import { foldSettlement } from './balances.ts'
import type { SettledBalance } from './balances.ts'
import { membersOf, textOf } from '../audit/record-members.ts'
import { crashRecord } from '../audit/records.ts'
import type { ReservationId } from './reservation.ts'
import type { ShardOfKey } from '../policy/rule-shards.ts'
import { foldBeginnings } from './run-beginnings.ts'
import type { SpanBeginning } from './run-beginnings.ts'

/** One thing that a ledger is told, with the virtual shard it belongs to. */
export interface LedgerFact {
  /** `settled`: an amount to add to a budget. `began`: the instant at which a span began, in epoch milliseconds. */
  readonly kind: 'settled' | 'began'
  readonly key: string
  readonly shard: number
  readonly value: number
  /** Null: for ever. */
  readonly keptUntilMs: number | null
}

export interface LogFold {
  add(record: AuditRecord): void
  /** What was settled, and nothing of calls that are open. */
  settled(): readonly SettledBalance[]
  /** Decisions without a settlement count at their bound: their process died, and that is how they will be closed. */
  sums(): { readonly balances: readonly SettledBalance[]; readonly spans: readonly SpanBeginning[] }
}

/**
 * Folds one log. `leaveOut`: calls that the process still has open, which tells of them itself. `nowMs` judges whether a
 * window is over. Memory grows with the sums and with the calls that are open at once, not with the log.
 */
export function foldLog(nowMs: number, leaveOut: ReadonlySet<ReservationId> = new Set()): LogFold {
  const balances = new Map<string, SettledBalance>()
  const spans = new Map<string, SpanBeginning>()
  const open = new Map<string, AuditRecord>()
  const fold = (record: RecordDraft) => {
    foldSettlement(record, balances, nowMs)
    foldBeginnings(record, spans, nowMs)
  }
  return {
    add(record) {
      if (leaveOut.has(textOf(record['rsv']))) return
      if (record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit') open.set(record.id, record)
      if (record.type !== 'settle') return
      open.delete(textOf(membersOf(record['ref'])['id']))
      fold(record)
    },
    settled: () => [...balances.values()],
    sums() {
      for (const decision of open.values()) fold(crashRecord(decision, ''))
      open.clear()
      return { balances: [...balances.values()], spans: [...spans.values()] }
    },
  }
}

/** Gives each sum its place; those of rules that are no longer in force have none and are left out. */
export function factsOf({ balances, spans }: ReturnType<LogFold['sums']>, shardOf: ShardOfKey): readonly LedgerFact[] {
  const settled = balances.filter((balance) => balance.settled > 0).map(settledFact)
  const began = spans.map(({ key, beganMs, keptUntilMs }) => ({
    kind: 'began' as const,
    key,
    value: beganMs,
    keptUntilMs,
  }))
  return [...settled, ...began].flatMap((fact) => {
    const shard = shardOf(fact.key)
    return shard === undefined ? [] : [{ ...fact, shard }]
  })
}

function settledFact({ key, settled, windowEndMs, keptUntilMs }: SettledBalance): Omit<LedgerFact, 'shard'> {
  const windowUntilMs = windowEndMs === null ? null : restoredWindowKeptUntilMs(windowEndMs)
  return { kind: 'settled', key, value: settled, keptUntilMs: keptUntilMs ?? windowUntilMs }
}
