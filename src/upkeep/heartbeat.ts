import { CALL_LIFE_MAX_MS, HEARTBEAT_MS, LEASE_MS } from '../domain/ledger/reservation.ts'
import type { Hold } from '../domain/ledger/reservation.ts'
import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { OpenCallRegistry } from './open-calls.ts'
import { every } from './every.ts'

/** Holds extended by one call to the ledger: bounds the script's time. */
const EXTEND_BATCH = 500

/** Holds brought back at a time: bounds the commands that wait in the connection. */
const REASSERT_BATCH = 50

interface Heart {
  readonly ledger: Ledger
  readonly openCalls: Pick<OpenCallRegistry, 'haltOver' | 'holds'>
  readonly events: Pick<Events, 'callsOutlived' | 'holdsLost' | 'holdsReasserted' | 'ledgerFailed'>
}

/** Keeps the holds of open calls alive. */
export function startHeartbeat(heart: Heart): Disposable {
  return every(HEARTBEAT_MS, () => beat(heart))
}

/**
 * Extends every open hold, and ends calls that have outlived {@link CALL_LIFE_MAX_MS}: each settles what it used. One that expired was charged in full, and its call goes on and settles late; one that the
 * ledger does not know at all was lost by its store, and is brought back.
 */
export async function beat(heart: Heart): Promise<void> {
  const outlived = heart.openCalls.haltOver(CALL_LIFE_MAX_MS)
  if (outlived > 0) heart.events.callsOutlived(outlived)
  const holds = heart.openCalls.holds()
  for (let start = 0; start < holds.length; start += EXTEND_BATCH) {
    try {
      await extend(holds.slice(start, start + EXTEND_BATCH), heart)
    } catch (error) {
      heart.events.ledgerFailed('extend', error)
    }
  }
}

async function extend(batch: readonly Hold[], { ledger, openCalls, events }: Heart): Promise<void> {
  const lost = new Set(await ledger.extend(batch, LEASE_MS))
  if (lost.size === 0) return
  // A call that settled while its heartbeat was under way is not lost.
  const missing = openCalls.holds().filter(({ id }) => lost.has(id))
  const states: string[] = []
  for (let start = 0; start < missing.length; start += REASSERT_BATCH) {
    const some = missing.slice(start, start + REASSERT_BATCH)
    states.push(...(await Promise.all(some.map((hold) => reassert(hold, ledger)))))
  }
  const count = (state: string) => states.filter((one) => one === state).length
  if (count('expired') > 0) events.holdsLost(count('expired'))
  if (count('reasserted') > 0) events.holdsReasserted(count('reasserted'))
}

/** `reasserted`, or the state that the ledger knows the hold in. */
async function reassert(hold: Hold, ledger: Ledger): Promise<string> {
  const outcome = await ledger.reassert(hold, LEASE_MS)
  return outcome.kind === 'known' ? outcome.state : outcome.kind
}
