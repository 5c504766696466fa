/**
 * The budgets with the least left, of however many: they are what an operator looks for, and all of them would not fit on
 * a screen or in memory.
 */
import type { KeyReader } from '../policy/policy-keys.ts'
import type { Unit } from '../policy/policy.ts'
import type { BudgetPage } from './reservation.ts'

export interface BudgetStanding {
  /** Key of its accumulator. */
  readonly key: string
  readonly rule: string
  readonly unit: Unit
  readonly settled: number
  readonly held: number
  /** Undefined when nothing says it: nobody has asked for the budget since its store lost it. */
  readonly limit: number | undefined
  /** Epoch milliseconds; null for a lifetime. */
  readonly windowEndMs: number | null
}

/** Kept this many times over between two sortings, so that each entry costs little. */
const SLACK = 4

export class NearestBudgets {
  readonly #max: number
  /** By key: a store that is read while it is used may tell of one twice, and the later word counts. */
  #kept = new Map<string, BudgetStanding>()
  #seen = 0

  constructor(max: number) {
    this.#max = max
  }

  /** How many were added, repeats included. */
  get seen(): number {
    return this.#seen
  }

  add(standing: BudgetStanding): void {
    this.#seen += 1
    this.#kept.set(standing.key, standing)
    if (this.#kept.size > this.#max * SLACK) this.#kept = new Map(this.list().map((kept) => [kept.key, kept]))
  }

  /** Adds those of a ledger that count now, from at most so many pages; answers whether these were all pages. */
  async addPages(pages: AsyncIterable<BudgetPage>, keys: KeyReader, pagesMax: number): Promise<boolean> {
    let read = 0
    for await (const { budgets } of pages) {
      if (read >= pagesMax) return false
      read += 1
      for (const { key, settled, held, limit } of budgets) {
        const rule = keys.currentBudget(key)
        if (rule === undefined) continue
        this.add({ key, rule: rule.name, unit: rule.unit, settled, held, limit, windowEndMs: rule.windowEndMs })
      }
    }
    return true
  }

  /** Nearest to its limit first. */
  list(): readonly BudgetStanding[] {
    return [...this.#kept.values()].toSorted(byShare).slice(0, this.#max)
  }
}

/** How much of its limit is used or held; undefined without a limit. More than 1 when the limit was lowered. */
export function shareOf({ settled, held, limit }: BudgetStanding): number | undefined {
  if (limit === undefined) return undefined
  return limit === 0 ? 1 : (settled + held) / limit
}

function byShare(left: BudgetStanding, right: BudgetStanding): number {
  const [a, b] = [shareOf(left) ?? 0, shareOf(right) ?? 0]
  if (a !== b) return b - a
  return left.key < right.key ? -1 : 1
}
