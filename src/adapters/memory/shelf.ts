/**
 * Values that are forgotten at an instant of their own. An overdue value is absent at once to whoever asks, and stays so
 * when the clock is set back; its memory is given back by a sweep of a few entries per call, so no call pays for all.
 */

export interface Shelf<Value> {
  get(name: string, nowMs: number): Value | undefined
  /** Stores the value; `keptUntilMs` null keeps it until it is put again. */
  put(name: string, value: Value, keptUntilMs: number | null): void
  delete(name: string): void
  /** All that is not overdue, in the order in which the names were first put. */
  values(nowMs: number): readonly Value[]
  /** The same, with their names. */
  entries(nowMs: number): readonly (readonly [name: string, value: Value])[]
  /** Looks at the next entries, round and round, and drops those that are overdue. */
  sweep(nowMs: number): void
  readonly size: number
}

/** Entries looked at for each one that is added: a round ends before a third has come on top, so garbage stays a fraction. */
const LOOKS_PER_ENTRY = 4

/** Entries that one sweep looks at: more than a decision adds in the long run, little beside the decision itself. */
const LOOKS_MAX = 64

interface Kept<Value> {
  readonly name: string
  /** Owned by the shelf; replaced by the next put of the name. */
  value: Value
  keptUntilMs: number | null
}

export function createShelf<Value>(): Shelf<Value> {
  return new SweptShelf()
}

class SweptShelf<Value> implements Shelf<Value> {
  readonly #kept = new Map<string, Kept<Value>>()
  /** Where the sweep stands. A Map's iterator stays valid while entries come and go, and ends once it has seen all. */
  #cursor = this.#kept.values()
  /** Looks that were not taken yet for what was added. */
  #owed = 0
  /** What the clock showed when it was last looked at. */
  #seenMs = 0

  get(name: string, nowMs: number): Value | undefined {
    this.#see(nowMs)
    const entry = this.#kept.get(name)
    return entry && !isOverdue(entry, nowMs) ? entry.value : undefined
  }

  put(name: string, value: Value, keptUntilMs: number | null): void {
    const entry = this.#kept.get(name)
    if (entry) {
      entry.value = value
      entry.keptUntilMs = keptUntilMs
      return
    }
    this.#kept.set(name, { name, value, keptUntilMs })
    this.#owed += LOOKS_PER_ENTRY
  }

  delete(name: string): void {
    this.#kept.delete(name)
  }

  values(nowMs: number): readonly Value[] {
    return this.entries(nowMs).map(([, value]) => value)
  }

  entries(nowMs: number): readonly (readonly [name: string, value: Value])[] {
    this.#see(nowMs)
    return [...this.#kept.values()]
      .filter((entry) => !isOverdue(entry, nowMs))
      .map(({ name, value }) => [name, value] as const)
  }

  /** One look also when nothing was added: what a burst left behind goes, too. */
  sweep(nowMs: number): void {
    this.#see(nowMs)
    const looks = Math.min(this.#owed + 1, LOOKS_MAX)
    this.#owed = Math.max(0, this.#owed - looks)
    for (let looked = 0; looked < looks; looked += 1) {
      const next = this.#cursor.next()
      if (next.done) {
        this.#cursor = this.#kept.values()
        return
      }
      if (isOverdue(next.value, nowMs)) this.#kept.delete(next.value.name)
    }
  }

  get size(): number {
    return this.#kept.size
  }

  /** A clock that is set back must not bring back what was absent before: that goes now. */
  #see(nowMs: number): void {
    if (nowMs < this.#seenMs) {
      for (const entry of this.#kept.values()) if (isOverdue(entry, this.#seenMs)) this.#kept.delete(entry.name)
    }
    this.#seenMs = nowMs
  }
}

function isOverdue({ keptUntilMs }: Kept<unknown>, nowMs: number): boolean {
  return keptUntilMs !== null && keptUntilMs <= nowMs
}
