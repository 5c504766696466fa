import type { AccumulatorShape, Charge } from '../../domain/ledger/accumulator.ts'
import { HORIZON_MS } from '../../domain/ledger/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { LastSeen } from './last-seen.ts'

/**
 * This node's share of each limit and budget in one outage. If every node takes only its own, all of them together take one
 * limit, and of a budget no more than was left. Rounded down: a limit of one place shared by two nodes gives none.
 */
export class AwayShares {
  readonly #seen: LastSeen
  readonly #nodes: number
  /** Shares of budgets, by name: set when first asked for and then the same to the end of the outage. */
  readonly #ofRest = new Map<string, number>()

  /** `nodes`: how many share the ledger, as far as this node last knew. */
  constructor(seen: LastSeen, nodes: number) {
    this.#seen = seen
    this.#nodes = Math.max(1, nodes)
  }

  /** The same charges against this node's shares; undefined when one of them gives none. */
  of(charges: readonly Charge[]): readonly Charge[] | undefined {
    // A call that no rule holds is held by nobody while the ledger is away.
    if (charges.length === 0 || charges.some(({ awayShare }) => awayShare === undefined)) return undefined
    return charges.map((charge) => ({
      amount: charge.amount,
      accumulator: {
        ...charge.accumulator,
        limit: this.#limitOf(charge),
        shape: this.#slower(charge.accumulator.shape),
      },
    }))
  }

  /** Names of the budgets of which something was shared out. */
  names(): Iterable<string> {
    return this.#ofRest.keys()
  }

  #limitOf({ accumulator, awayShare }: Charge): number {
    if (awayShare === 'of_limit') return Math.floor(accumulator.limit / this.#nodes)
    const name = accumulatorName(accumulator)
    const known = this.#ofRest.get(name)
    if (known !== undefined) return known
    const share = Math.floor((this.#seen.restOf(accumulator) ?? 0) / this.#nodes)
    // Only what was seen is kept, so there are no more of them than are remembered.
    if (share > 0) this.#ofRest.set(name, share)
    return share
  }

  /** A bucket fills this node's share as fast as its own part of the rate. */
  #slower(shape: AccumulatorShape): AccumulatorShape {
    if (shape.kind !== 'bucket') return shape
    if (shape.amount >= this.#nodes) return { ...shape, amount: Math.floor(shape.amount / this.#nodes) }
    return { ...shape, periodMs: Math.min(HORIZON_MS, shape.periodMs * this.#nodes) }
  }
}
