/**
 * What the log says was settled: a fold of settlements into the balance of each budget accumulator.
 */
import type { Charge } from './accumulator.ts'
import type { RecordDraft, RecordValue } from '../audit/audit-record.ts'
import { parseFormattedUsd, toAmount } from '../prices/money.ts'
import { mayBeOpen } from './window-name.ts'
import { listOf, membersOf, textOf } from '../audit/record-members.ts'

/** Settled amount of one budget accumulator; `windowEndMs` is null for a lifetime. */
export interface SettledBalance {
  readonly key: string
  readonly rule: string
  readonly unit: string
  readonly settled: number
  readonly windowEndMs: number | null
  /** When a budget is forgotten that is kept for a time after its last use (a run's); undefined for all others. */
  readonly keptUntilMs?: number | undefined
}

/** The amount a record wrote for one charge: dollars as a decimal string, everything else as an integer. */
export function readAmount(value: RecordValue | undefined): number {
  // No charge is negative: a record that says so gives nothing back.
  if (typeof value === 'number') return Math.max(0, value)
  const usd = typeof value === 'string' ? parseFormattedUsd(value) : undefined
  return usd === undefined || usd < 0n ? 0 : toAmount(usd)
}

/** What a settlement says that each of these charges became; one that it does not name is what was held. */
export function settledAmounts(record: RecordDraft, charges: readonly Charge[]): readonly number[] {
  const acts = new Map(
    listOf(record['bkt']).map((entry) => [membersOf(entry)['id'], readAmount(membersOf(entry)['act'])]),
  )
  return charges.map(({ accumulator, amount }) => acts.get(accumulator.key) ?? amount)
}

/** Adds a settlement to the balances of windows that can still be charged at `nowMs`. */
export function foldSettlement(record: RecordDraft, balances: Map<string, SettledBalance>, nowMs: number): void {
  for (const entry of listOf(record['bkt'])) {
    const { id, rule, unit, kind, act, end, kept } = membersOf(entry)
    if (kind !== 'budget' || typeof id !== 'string') continue
    const windowEndMs = typeof end === 'number' ? end : null
    if (windowEndMs !== null && !mayBeOpen(id, windowEndMs, nowMs)) continue
    const usedMs = Date.parse(textOf(record['t'])) || nowMs
    const known = rememberedAt(usedMs, balances.get(id))
    const settled = (known?.settled ?? 0) + readAmount(act)
    balances.set(id, {
      key: id,
      rule: textOf(rule),
      unit: textOf(unit),
      settled,
      windowEndMs: later(known, windowEndMs),
      ...(typeof kept === 'number' && { keptUntilMs: Math.max(known?.keptUntilMs ?? 0, usedMs + kept) }),
    })
  }
}

/** A run that comes back after it was forgotten is another one. */
function rememberedAt(usedMs: number, balance: SettledBalance | undefined): SettledBalance | undefined {
  return balance?.keptUntilMs !== undefined && balance.keptUntilMs <= usedMs ? undefined : balance
}

/** A moved zone or time of day gives one key windows that end at different times: it is kept for the last of them. */
function later(known: SettledBalance | undefined, windowEndMs: number | null): number | null {
  if (known === undefined || known.windowEndMs === null || windowEndMs === null) return windowEndMs
  return Math.max(known.windowEndMs, windowEndMs)
}
