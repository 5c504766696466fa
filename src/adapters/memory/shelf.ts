/**
 * Values that are forgotten at an instant of their own. An overdue value is absent at once to whoever asks; its memory
 * is given back by a sweep of a few entries per call, so no call pays for all of them.
 */

export interface Shelf<Value> {
  get(name: string, nowMs: number): Value | undefined
  /** Stores the value; `keptUntilMs` null keeps it until it is put again. */
  put(name: string, value: Value, keptUntilMs: number | null): void
  delete(name: string): void
  /** Looks at the next `count` entries, round and round, and drops those that are overdue. */
  sweep(nowMs: number, count: number): void
  readonly size: number
}

interface Kept<Value> {
  readonly value: Value
  readonly keptUntilMs: number | null
}

export function createShelf<Value>(): Shelf<Value> {
  const kept = new Map<string, Kept<Value>>()
  // Where the sweep stands. A Map's iterator stays valid while entries come and go, and ends once it has seen all.
  let cursor = kept.entries()
  const isOverdue = (entry: Kept<Value>, nowMs: number) => entry.keptUntilMs !== null && entry.keptUntilMs <= nowMs

  const sweepOne = (nowMs: number) => {
    const next = cursor.next()
    if (next.done) {
      cursor = kept.entries()
      return
    }
    const [name, entry] = next.value
    if (isOverdue(entry, nowMs)) kept.delete(name)
  }

  return {
    get(name, nowMs) {
      const entry = kept.get(name)
      return entry && !isOverdue(entry, nowMs) ? entry.value : undefined
    },
    put: (name, value, keptUntilMs) => void kept.set(name, { value, keptUntilMs }),
    delete: (name) => void kept.delete(name),
    sweep(nowMs, count) {
      for (let looked = 0; looked < count; looked += 1) sweepOne(nowMs)
    },
    get size() {
      return kept.size
    },
  }
}
