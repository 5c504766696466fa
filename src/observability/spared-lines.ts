/**
 * Keeps a failure that meets every call from filling the log: its first line is written at once, then at most one in a
 * while, which says how many were left out. Metrics count all of them.
 */

/** Time between two lines of one kind: a dozen a minute tell an operator as much as a thousand a second. */
const BETWEEN_LINES_MS = 5_000

interface Last {
  readonly atMs: number
  readonly leftOut: number
}

export class SparedLines {
  readonly #nowMs: () => number
  /** One entry a kind; kinds are words of closed lists, so there are a few dozen. */
  readonly #last = new Map<string, Last>()

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  /** Calls `write` with the number of lines of this kind that were left out before it, or not at all. */
  write(kind: string, write: (leftOut: number | undefined) => void): void {
    const nowMs = this.#nowMs()
    const last = this.#last.get(kind)
    if (last !== undefined && nowMs - last.atMs < BETWEEN_LINES_MS) {
      this.#last.set(kind, { ...last, leftOut: last.leftOut + 1 })
      return
    }
    this.#last.set(kind, { atMs: nowMs, leftOut: 0 })
    write(last === undefined || last.leftOut === 0 ? undefined : last.leftOut)
  }
}
