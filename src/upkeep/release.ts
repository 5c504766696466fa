import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { OpenCallRegistry } from './open-calls.ts'
import { every } from './every.ts'

/** How often: what the ledger keeps for a log that has it already stays small. */
const RELEASE_EVERY_MS = 1_000
/** Settlements of one call to the ledger, and calls in one run: ten thousand calls a second are more than a node serves. */
const RELEASE_BATCH = 1_000
const RELEASE_BATCHES_MAX = 10

interface Releasing {
  readonly ledger: Pick<Ledger, 'release'>
  readonly openCalls: Pick<OpenCallRegistry, 'takeFinished'>
  readonly events: Pick<Events, 'ledgerFailed'>
}

/** Tells the ledger whose settlements both stores have, so that it need not remember them for a restart. */
export function startRelease(world: Releasing): Disposable {
  return every(RELEASE_EVERY_MS, () => releaseFinished(world))
}

export async function releaseFinished({ ledger, openCalls, events }: Releasing): Promise<void> {
  try {
    for (let batch = 0; batch < RELEASE_BATCHES_MAX; batch += 1) {
      const finished = openCalls.takeFinished(RELEASE_BATCH)
      if (finished.length === 0) return
      await ledger.release(finished)
    }
  } catch (error) {
    // What was not released is forgotten by itself within a day.
    events.ledgerFailed('release', error)
  }
}
