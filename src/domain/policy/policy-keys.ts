/**
 * What the key of an accumulator says, read with the policy whose rules made it: which rule counts, for whom, and, for rules
 * with windows, until when. Keys of rules that the policy does not have say nothing.
 */
import { shapeOf } from '../ledger/accumulator-shape.ts'
import type { Policy, Unit } from './policy.ts'

export interface CountingRule {
  readonly name: string
  readonly unit: Unit
}

/** A budget, also of a run, or a limit of calls or tokens per window, that counts now. */
export interface CurrentBudget extends CountingRule {
  /** The values it counts by as they stand in keys; persons are hashed there. */
  readonly subject: string
  /** Epoch milliseconds; null for a lifetime and for a run. */
  readonly windowEndMs: number | null
}

export interface KeyReader {
  ruleOf(key: string): CountingRule | undefined
  /** Undefined also for a budget whose window is not the one that runs now. */
  currentBudget(key: string): CurrentBudget | undefined
}

interface Known extends CountingRule {
  /** What ends the keys of the window that runs; undefined for what has no windows. */
  readonly ending: string | undefined
  readonly windowEndMs: number | null
  readonly isBudget: boolean
}

export function readKeysWith(policy: Pick<Policy, 'limits' | 'budgets' | 'runs'>, nowMs: number): KeyReader {
  const known = new Map<string, Known>()
  for (const rule of [...policy.limits, ...policy.budgets, ...policy.runs]) {
    const { shape, named } = shapeOf(rule, nowMs)
    known.set(rule.id, {
      name: rule.name,
      unit: rule.unit,
      ending: named && `:${named.name}`,
      windowEndMs: named?.window.endMs ?? null,
      isBudget: shape.kind === 'budget',
    })
  }
  const find = (key: string) => known.get(key.slice(0, Math.max(0, key.indexOf(':'))))
  return {
    ruleOf(key) {
      const rule = find(key)
      return rule && { name: rule.name, unit: rule.unit }
    },
    currentBudget(key) {
      const rule = find(key)
      if (rule === undefined || !rule.isBudget) return undefined
      const { name, unit, ending = '', windowEndMs } = rule
      if (!key.endsWith(ending)) return undefined
      return { name, unit, windowEndMs, subject: key.slice(key.indexOf(':') + 1, key.length - ending.length) }
    },
  }
}
