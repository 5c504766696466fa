/**
 * What a log says that its gateway's own ledger holds: open calls, and each budget of a window that is not over. For a ledger
 * in memory, nobody else can be asked.
 */
import type { AuditRecord } from '../audit/audit-record.ts'
import { foldSettlement, readAmount } from './balances.ts'
import type { SettledBalance } from './balances.ts'
import type { BudgetStanding } from './nearest-budgets.ts'
import type { Unit } from '../policy/policy.ts'
import { listOf, membersOf, textOf } from '../audit/record-members.ts'
import { mayBeOpen } from './window-name.ts'

/** An admitted call without a settlement. */
export interface LoggedHold {
  readonly id: string
  /** The log that has it. */
  readonly owner: string
  readonly sinceMs: number
  readonly charges: readonly LoggedCharge[]
}

interface LoggedCharge {
  readonly key: string
  readonly rule: string
  readonly unit: Unit
  readonly kind: string
  readonly amount: number
  readonly windowEndMs: number | null
}

const UNITS: readonly Unit[] = ['requests', 'tokens', 'input_tokens', 'output_tokens', 'usd', 'concurrent', 'ms']

/** Memory grows with open calls and with budgets of windows that are not over, not with the log. */
export class LoggedLedger {
  readonly #nowMs: number
  readonly #open = new Map<string, LoggedHold>()
  readonly #settled = new Map<string, SettledBalance>()
  /** The limit that the latest decision read of each budget. */
  readonly #limits = new Map<string, number>()

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  /** Records come in the order of time. */
  add(record: AuditRecord): void {
    if (record.type === 'decision') {
      const charges = listOf(record['bkt'])
      for (const entry of charges) this.#readLimit(membersOf(entry))
      if (membersOf(record['dec'])['out'] === 'admit') this.#open.set(record.id, toHold(record))
    }
    if (record.type !== 'settle') return
    this.#open.delete(textOf(membersOf(record['ref'])['id']))
    foldSettlement(record, this.#settled, this.#nowMs)
  }

  /** Oldest first. */
  holds(): readonly LoggedHold[] {
    return [...this.#open.values()]
  }

  budgets(): readonly BudgetStanding[] {
    const standings = new Map<string, BudgetStanding>()
    for (const balance of this.#settled.values()) {
      const { key, keptUntilMs = Number.POSITIVE_INFINITY } = balance
      if (keptUntilMs > this.#nowMs) standings.set(key, this.#standing(balance))
    }
    for (const { charges } of this.#open.values()) {
      for (const charge of charges) {
        if (charge.kind !== 'budget') continue
        const known = standings.get(charge.key) ?? this.#standing({ ...charge, settled: 0 })
        standings.set(charge.key, { ...known, held: known.held + charge.amount })
      }
    }
    return [...standings.values()].filter(({ windowEndMs }) => windowEndMs === null || windowEndMs > this.#nowMs)
  }

  #standing({ key, rule, unit, settled, windowEndMs }: SettledBalance): BudgetStanding {
    return { key, rule, unit: toUnit(unit), settled, held: 0, limit: this.#limits.get(key), windowEndMs }
  }

  #readLimit({ id, kind, lim, end }: ReturnType<typeof membersOf>): void {
    if (kind !== 'budget' || typeof id !== 'string' || lim === undefined) return
    if (typeof end === 'number' && !mayBeOpen(id, end, this.#nowMs)) return
    this.#limits.set(id, readAmount(lim))
  }
}

function toHold(decision: AuditRecord): LoggedHold {
  const charges = listOf(decision['bkt']).map((entry) => {
    const { id, rule, unit, kind, need, end } = membersOf(entry)
    const windowEndMs = typeof end === 'number' ? end : null
    const named = { key: textOf(id), rule: textOf(rule), unit: toUnit(textOf(unit)), kind: textOf(kind) }
    return { ...named, amount: readAmount(need), windowEndMs }
  })
  return { id: textOf(decision['rsv']), owner: decision.log, sinceMs: Date.parse(decision.t), charges }
}

function toUnit(text: string): Unit {
  return UNITS.find((unit) => unit === text) ?? 'requests'
}
