/**
 * What the log says of the time of runs: when each one began that is not forgotten yet. A fold of settlements, as that of
 * balances, but a beginning is kept and not added up.
 */
import type { RecordDraft } from '../audit/audit-record.ts'
import { listOf, membersOf } from '../audit/record-members.ts'

/** A span that is not forgotten yet; instants in epoch milliseconds. */
export interface SpanBeginning {
  readonly key: string
  readonly beganMs: number
  readonly keptUntilMs: number
}

/** The earliest beginning counts: nodes and logs agree on it, and one that came before was forgotten. */
export function foldBeginnings(record: RecordDraft, spans: Map<string, SpanBeginning>, nowMs: number): void {
  for (const entry of listOf(record['bkt'])) {
    const { id, kind, from, end, kept } = membersOf(entry)
    if (kind !== 'span' || typeof id !== 'string' || !isInstant(from) || !isInstant(end) || !isInstant(kept)) continue
    const keptUntilMs = end + kept
    const known = spans.get(id)
    if (keptUntilMs <= nowMs || (known !== undefined && known.beganMs <= from)) continue
    spans.set(id, { key: id, beganMs: from, keptUntilMs })
  }
}

function isInstant(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value > 0
}
