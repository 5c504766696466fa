/**
 * Bounds the wait for an answer of Redis. Time alone does not tell a store that is slow from an event loop that was busy:
 * an answer may have been in the socket for long when the timer of its command fires, because timers run before reads. So
 * when a command is overdue, the socket is read once more, and only what is unanswered after that has failed.
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'

/** What waits; all for the same time, so the oldest is due first. */
interface Waiting {
  readonly dueMs: number
  readonly fail: (error: Error) => void
}

export class AnswerBound {
  readonly #timeoutMs: number
  /** Owned by this object, oldest first; as many as there are commands under way. */
  readonly #waiting = new Set<Waiting>()
  /** One timer for all commands, for the oldest: nearly every command is answered long before it. */
  #isWatching = false

  constructor(timeoutMs: number) {
    this.#timeoutMs = timeoutMs
  }

  /** The answer, or a failure after the bound and at most one turn of the event loop. */
  within<Answer>(answer: Promise<Answer>): Promise<Answer> {
    return new Promise((resolve, reject) => {
      const waiting = { dueMs: performance.now() + this.#timeoutMs, fail: reject }
      this.#waiting.add(waiting)
      this.#watch(this.#timeoutMs)
      const answered = () => this.#waiting.delete(waiting)
      answer.then(answered, answered)
      answer.then(resolve, reject)
    })
  }

  #watch(ms: number): void {
    if (this.#isWatching) return
    this.#isWatching = true
    // The connection keeps the process alive, not its timer.
    setTimeout(() => this.#look(performance.now()), ms).unref()
  }

  #look(nowMs: number): void {
    const [oldest] = this.#waiting
    if (oldest === undefined || oldest.dueMs > nowMs) return this.#watchOn(nowMs)
    // Immediates run after the reads of this turn.
    setImmediate(() => {
      for (const waiting of this.#waiting) {
        if (waiting.dueMs > nowMs) break
        this.#waiting.delete(waiting)
        waiting.fail(new LedgerUnavailable(`no answer within ${this.#timeoutMs} ms`, { fault: 'timeout' }))
      }
      this.#watchOn(performance.now())
    })
  }

  #watchOn(nowMs: number): void {
    this.#isWatching = false
    const [oldest] = this.#waiting
    if (oldest !== undefined) this.#watch(Math.max(1, oldest.dueMs - nowMs))
  }
}
