import { faultOf } from '../../domain/failures.ts'
import type { LedgerFault } from '../../domain/ledger/ledger-fault.ts'
import type { World } from '../../ports.ts'

/**
 * Waits between attempts, in milliseconds: about 50 s in all, well inside the lease of the hold, so that a settlement that
 * gets through at the last attempt still finds its hold alive. After that the hold expires to what it held.
 */
const RETRY_AFTER_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000]

/**
 * A ledger that is closed takes nothing although its store is there: it was lost, and waits to be rebuilt. Its holds come
 * back with it, so what waits is asked again every few seconds, for a day at most: about as long as somebody needs who has to
 * bring a missing log back, and as long as a settlement that was told by a rebuild is recognised.
 */
const CLOSED: ReadonlySet<LedgerFault> = new Set(['lost', 'rebuilding', 'waiting', 'unverified'])
const CLOSED_PAUSE_MS = 5_000
const CLOSED_ATTEMPTS_MAX = 86_400_000 / CLOSED_PAUSE_MS

/** What is written, and for which call. */
export interface Writing {
  readonly callId: string
  readonly store: 'ledger' | 'audit'
  readonly write: () => Promise<unknown>
}

/**
 * Writes until it is acknowledged, or gives up and says so; answers which. Safe to repeat, because every write is
 * idempotent.
 */
export async function persist(writing: Writing, world: Pick<World, 'events' | 'timer'>): Promise<boolean> {
  const { callId, store, write } = writing
  let closedAttempts = 0
  for (let attempt = 0; ; attempt += 1) {
    try {
      await write()
      return true
    } catch (error) {
      const isClosed = CLOSED.has(faultOf(error)) && closedAttempts < CLOSED_ATTEMPTS_MAX
      if (isClosed) closedAttempts += 1
      const pause = RETRY_AFTER_MS[attempt] ?? (isClosed ? CLOSED_PAUSE_MS : undefined)
      if (pause === undefined) {
        world.events.settlementAbandoned(callId, store, error)
        return false
      }
      world.events.settlementDelayed(callId, store, attempt + 1, error)
      await world.timer.wait(pause)
    }
  }
}
