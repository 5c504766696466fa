import type { Accumulator, AccumulatorState, Charge } from '../../domain/ledger/accumulator.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { ReserveOutcome } from '../../domain/ledger/reservation.ts'

/** Budgets that are remembered, those used last: about a megabyte. A forgotten one gives nothing in an outage. */
const SEEN_MAX = 10_000

/** What was left of each budget when this node last saw it; of those alone that give a share of it while the ledger is away. */
export class LastSeen {
  /** By name of the accumulator, the longest unused first. Owned by this object. */
  readonly #rests = new Map<string, number>()

  note(charges: readonly Charge[], outcome: ReserveOutcome): void {
    if (outcome.kind === 'held') {
      for (let index = 0; index < charges.length; index += 1) {
        this.#put(charges[index], outcome.states[index], charges[index]?.amount ?? 0)
      }
    }
    if (outcome.kind === 'refused') {
      for (const { index, state } of outcome.shortfalls) this.#put(charges[index], state, 0)
    }
  }

  /** Undefined when it was not seen, or too long ago to be remembered. */
  restOf(accumulator: Accumulator): number | undefined {
    return this.#rests.get(accumulatorName(accumulator))
  }

  forget(names: Iterable<string>): void {
    for (const name of names) this.#rests.delete(name)
  }

  #put(charge: Charge | undefined, state: AccumulatorState | undefined, taken: number): void {
    if (charge?.awayShare !== 'of_rest' || state === undefined) return
    const name = accumulatorName(charge.accumulator)
    this.#rests.delete(name)
    this.#rests.set(name, Math.max(0, state.limit - state.settled - state.held - taken))
    if (this.#rests.size <= SEEN_MAX) return
    const [oldest] = this.#rests.keys()
    if (oldest !== undefined) this.#rests.delete(oldest)
  }
}
