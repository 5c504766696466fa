/**
 * Where a ledger and the logs say different things of what was settled.
 */
import type { SettledBalance } from './balances.ts'
import type { Unit } from '../policy/policy.ts'

export interface LedgerDifference {
  readonly key: string
  readonly rule: string
  readonly unit: Unit
  readonly log: number
  readonly ledger: number
  /** What the ledger says beyond the log; below zero when it lacks something. */
  readonly difference: number
}

/** A sum of the ledger that was read while calls go on: it was no less, and is no more. */
export interface Reading {
  readonly before: number
  readonly after: number
}

/**
 * Compares each budget that either of them names. The logs are read between the two readings, so what was settled meanwhile
 * is no difference. `ruleOf`: undefined for keys that no rule in force has.
 */
export function differences(
  logged: readonly SettledBalance[],
  readings: ReadonlyMap<string, Reading>,
  ruleOf: (key: string) => { readonly name: string; readonly unit: Unit } | undefined,
): readonly LedgerDifference[] {
  const sums = new Map<string, number>()
  for (const { key, settled } of logged) sums.set(key, (sums.get(key) ?? 0) + settled)
  const keys = new Set([...sums.keys(), ...readings.keys()])
  return [...keys].toSorted().flatMap((key) => {
    const rule = ruleOf(key)
    const log = sums.get(key) ?? 0
    const { before, after } = readings.get(key) ?? { before: 0, after: 0 }
    const isWithin = Math.min(before, after) <= log && log <= Math.max(before, after)
    if (rule === undefined || isWithin) return []
    return [{ key, rule: rule.name, unit: rule.unit, log, ledger: after, difference: after - log }]
  })
}
