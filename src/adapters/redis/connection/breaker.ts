/**
 * Keeps calls from waiting, one timeout each, for a store that does not answer. After a run of failures all calls fail at
 * once for a while; then a single one may try, and its fate decides for the others.
 */

export interface Breaker {
  /** Whether a call may go out. Each admitted call must report its end. */
  admits(): boolean
  succeeded(): void
  failed(): void
}

/** This many failures within {@link WITHIN_MS} open the breaker: one slow answer does not, a dead store does. */
const FAILURES_MAX = 5
const WITHIN_MS = 1_000

/** Time without calls before the next try: short enough that a restart of the store is noticed at once. */
const OPEN_MS = 1_000

export function createBreaker(nowMs: () => number): Breaker {
  return new FailureBreaker(nowMs)
}

class FailureBreaker implements Breaker {
  readonly #nowMs: () => number
  /** Instants of the last failures, at most FAILURES_MAX, oldest first. */
  #failures: number[] = []
  /** Instant at which a probe may go out; undefined while closed. */
  #openUntilMs: number | undefined
  #isProbing = false

  constructor(nowMs: () => number) {
    this.#nowMs = nowMs
  }

  admits(): boolean {
    if (this.#openUntilMs === undefined) return true
    if (this.#isProbing || this.#nowMs() < this.#openUntilMs) return false
    this.#isProbing = true
    return true
  }

  succeeded(): void {
    this.#failures = []
    this.#openUntilMs = undefined
    this.#isProbing = false
  }

  failed(): void {
    const nowMs = this.#nowMs()
    this.#failures = [...this.#failures.filter((atMs) => nowMs - atMs < WITHIN_MS), nowMs].slice(-FAILURES_MAX)
    if (this.#failures.length < FAILURES_MAX && !this.#isProbing) return
    this.#openUntilMs = nowMs + OPEN_MS
    this.#isProbing = false
  }
}
