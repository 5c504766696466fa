import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import { every } from './every.ts'

/** How often overdue holds are looked for. */
const REAP_EVERY_MS = 1_000
/** Holds charged in one run: bounds its time; the rest waits for the next run. */
const REAP_MAX = 500

/** Charges holds that outlived their lease in full; every node does, none needs to lead. */
export function startReaper(world: { readonly ledger: Ledger; readonly events: Events }): Disposable {
  return every(REAP_EVERY_MS, async () => {
    try {
      const expired = await world.ledger.reap(REAP_MAX)
      if (expired.length > 0) world.events.holdsExpired(expired.length)
    } catch (error) {
      world.events.ledgerFailed('reap', error)
    }
  })
}
