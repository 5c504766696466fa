/**
 * What the log says was settled: a fold of settlements into the balance of each budget accumulator.
 */
import type { RecordDraft, RecordValue } from './audit-record.ts'
import { parseFormattedUsd, toAmount } from './money.ts'
import { listOf, membersOf, textOf } from './record-members.ts'

/** Settled amount of one budget accumulator; `windowEndMs` is null for a lifetime. */
export interface SettledBalance {
  readonly key: string
  readonly rule: string
  readonly unit: string
  readonly settled: number
  readonly windowEndMs: number | null
}

/** The amount a record wrote for one charge: dollars as a decimal string, everything else as an integer. */
export function readAmount(value: RecordValue | undefined): number {
  // No charge is negative: a record that says so gives nothing back.
  if (typeof value === 'number') return Math.max(0, value)
  const usd = typeof value === 'string' ? parseFormattedUsd(value) : undefined
  return usd === undefined || usd < 0n ? 0 : toAmount(usd)
}

/** Adds a settlement to the balances of windows that are not over at `nowMs`. */
export function foldSettlement(record: RecordDraft, balances: Map<string, SettledBalance>, nowMs: number): void {
  for (const entry of listOf(record['bkt'])) {
    const { id, rule, unit, kind, act, end } = membersOf(entry)
    if (kind !== 'budget' || typeof id !== 'string') continue
    const windowEndMs = typeof end === 'number' ? end : null
    if (windowEndMs !== null && windowEndMs <= nowMs) continue
    const settled = (balances.get(id)?.settled ?? 0) + readAmount(act)
    balances.set(id, { key: id, rule: textOf(rule), unit: textOf(unit), settled, windowEndMs })
  }
}
