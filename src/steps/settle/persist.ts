import type { World } from '../../ports.ts'

/**
 * Waits between attempts, in milliseconds: about 50 s in all, well inside the lease of the hold, so that a settlement that
 * gets through at the last attempt still finds its hold alive. After that the hold expires to what it held.
 */
const RETRY_AFTER_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000]

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
  for (let attempt = 0; ; attempt += 1) {
    try {
      await write()
      return true
    } catch (error) {
      const pause = RETRY_AFTER_MS[attempt]
      if (pause === undefined) {
        world.events.settlementAbandoned(callId, store, error)
        return false
      }
      world.events.settlementDelayed(callId, store, attempt + 1, error)
      await world.timer.wait(pause)
    }
  }
}
