import { HEARTBEAT_MS, LEASE_MS } from '../domain/reservation.ts'
import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { OpenCallRegistry } from './open-calls.ts'
import { every } from './every.ts'

/** Holds extended by one call to the ledger: bounds the script's time. */
const EXTEND_BATCH = 500

/** Keeps the holds of open calls alive. A hold that is gone was charged in full: the call goes on and settles late. */
export function startHeartbeat(world: {
  readonly ledger: Ledger
  readonly openCalls: OpenCallRegistry
  readonly events: Events
}): Disposable {
  return every(HEARTBEAT_MS, async () => {
    const holds = world.openCalls.holds()
    for (let start = 0; start < holds.length; start += EXTEND_BATCH) {
      await extend(holds.slice(start, start + EXTEND_BATCH))
    }
  })

  async function extend(batch: Parameters<Ledger['extend']>[0]): Promise<void> {
    try {
      const lost = await world.ledger.extend(batch, LEASE_MS)
      // A call that settled while its heartbeat was under way is not lost.
      const open = new Set(world.openCalls.holds().map((hold) => hold.id))
      const missing = lost.filter((id) => open.has(id))
      if (missing.length > 0) world.events.holdsLost(missing.length)
    } catch (error) {
      world.events.ledgerFailed('extend', error)
    }
  }
}
