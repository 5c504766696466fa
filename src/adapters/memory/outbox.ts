/**
 * What a node settled on its own while the ledger was away, until the ledger has it. Each is posted under its own id, and
 * a ledger that has an id posts it once, so trying again is safe.
 */
import { NOTE_KEPT_MS } from '../../domain/ledger/accumulator-geometry.ts'
import { LedgerUnavailable } from '../../domain/failures.ts'
import type { Hold } from '../../domain/ledger/reservation.ts'
import type { Clock } from '../../ports.ts'
import type { Events } from '../../ports/events.ts'
import type { Ledger } from '../../ports/ledger.ts'

export interface Post {
  readonly hold: Hold
  readonly actual: readonly number[]
  /** Kept with the settlement: as long, a repeat is recognised. */
  readonly note: string
}

/** Pause between two tries: a ledger that is back has the spend a second later. */
const TRY_EVERY_MS = 1_000

/** Posts under way at once: bounds the commands that wait in the connection. */
const POSTS_AT_ONCE = 16

/** A repeat is recognised for as long as the note is kept; an hour less covers clocks that differ. Later the log alone has it. */
const POST_WITHIN_MS = NOTE_KEPT_MS - 3_600_000

interface Waiting extends Post {
  readonly sinceMs: number
}

interface Parts {
  readonly ledger: Pick<Ledger, 'settle'>
  readonly clock: Clock
  readonly events: Pick<Events, 'ledgerFailed' | 'settlementAbandoned'>
  /** Called once for each post that is over: the ledger has it, or it was given up. */
  readonly over: (hold: Hold) => void
}

export class Outbox implements AsyncDisposable {
  readonly #parts: Parts
  /** Oldest first; whoever puts in sees to the bound. */
  readonly #waiting: Waiting[] = []
  #timer: NodeJS.Timeout | undefined
  #posting: Promise<void> = Promise.resolve()

  constructor(parts: Parts) {
    this.#parts = parts
  }

  get size(): number {
    return this.#waiting.length
  }

  put(post: Post): void {
    this.#waiting.push({ ...post, sinceMs: this.#parts.clock.nowMs() })
    this.#tryLater()
  }

  /** One last try; what the ledger does not take now is in the log. */
  async [Symbol.asyncDispose](): Promise<void> {
    clearTimeout(this.#timer)
    await this.#posting
    await this.#post()
    clearTimeout(this.#timer)
  }

  #tryLater(): void {
    if (this.#timer !== undefined || this.#waiting.length === 0) return
    this.#timer = setTimeout(() => {
      this.#timer = undefined
      this.#posting = this.#post().finally(() => this.#tryLater())
    }, TRY_EVERY_MS)
    this.#timer.unref()
  }

  /** Ends at the first batch that the ledger does not take. */
  async #post(): Promise<void> {
    while (this.#waiting.length > 0) {
      const batch = this.#waiting.slice(0, POSTS_AT_ONCE)
      const isOver = await Promise.all(batch.map((post) => this.#try(post)))
      const left = batch.filter((_, index) => isOver[index] === false)
      this.#waiting.splice(0, batch.length, ...left)
      for (const post of batch) if (!left.includes(post)) this.#parts.over(post.hold)
      if (left.length > 0) return
    }
  }

  async #try({ hold, actual, note, sinceMs }: Waiting): Promise<boolean> {
    const { ledger, clock, events } = this.#parts
    try {
      if (clock.nowMs() - sinceMs >= POST_WITHIN_MS) throw new Error('the ledger was away for too long')
      await ledger.settle(hold, actual, { note, force: true })
      return true
    } catch (error) {
      if (error instanceof LedgerUnavailable) events.ledgerFailed('post', error)
      else events.settlementAbandoned(hold.id, 'ledger', error)
      return !(error instanceof LedgerUnavailable)
    }
  }
}
