/**
 * Reads what Redis answered. An answer of another shape means that the store or a script is not what it should be:
 * the call failed, and whoever asked must assume that it may have happened.
 */
import type { AccumulatorState } from '../../domain/ledger/accumulator.ts'
import type { Shortfall } from '../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../domain/failures.ts'

const INTEGER = /^-?\d+$/

/** A flat list of texts and integers, read from front to back. */
export class Reply {
  readonly #values: readonly unknown[]
  #next = 0

  constructor(value: unknown) {
    if (!Array.isArray(value)) throw new LedgerUnavailable('Redis: a reply is not a list')
    this.#values = value
  }

  get isAtEnd(): boolean {
    return this.#next >= this.#values.length
  }

  text(): string {
    const value = this.#values[this.#next]
    this.#next += 1
    if (typeof value !== 'string') throw new LedgerUnavailable('Redis: a reply lacks a text')
    return value
  }

  integer(): number {
    const text = this.text()
    if (!INTEGER.test(text)) throw new LedgerUnavailable('Redis: a reply lacks a number')
    return Number(text)
  }

  state(): AccumulatorState {
    return { limit: this.integer(), settled: this.integer(), held: this.integer() }
  }

  states(): readonly AccumulatorState[] {
    return this.#rest(() => this.state())
  }

  texts(): readonly string[] {
    return this.#rest(() => this.text())
  }

  /** Positions, each with a text. */
  pairs(): readonly { readonly position: number; readonly text: string }[] {
    return this.#rest(() => ({ position: this.integer(), text: this.text() }))
  }

  shortfalls(): readonly Shortfall[] {
    return this.#rest(() => {
      const index = this.integer()
      const state = this.state()
      const waitUs = this.integer()
      return { index, state, retryAfterMs: waitUs < 0 ? null : Math.ceil(waitUs / 1_000) }
    })
  }

  /** Bounded by the reply itself: each turn consumes at least one of its values or throws. */
  #rest<Item>(read: () => Item): readonly Item[] {
    const items: Item[] = []
    while (!this.isAtEnd) items.push(read())
    return items
  }
}

/** The state that a record's first letter names. */
export function toRecordState(letter: string): 'held' | 'expired' | 'settled' {
  if (letter === 'R') return 'held'
  if (letter === 'X') return 'expired'
  if (letter === 'S') return 'settled'
  throw new LedgerUnavailable(`Redis: a record in the unknown state ${JSON.stringify(letter)}`)
}
