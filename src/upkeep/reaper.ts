import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import { every } from './every.ts'

/** How often overdue holds are looked for. */
const REAP_EVERY_MS = 1_000
/** Holds charged in one run: bounds its time; the rest waits for the next run. */
const REAP_MAX = 500

interface Reaping {
  readonly ledger: Pick<Ledger, 'reap'>
  readonly events: Pick<Events, 'holdsExpired' | 'ledgerFailed'>
}

/** Charges holds that outlived their lease in full; every node does, none needs to lead. */
export function startReaper(world: Reaping): Disposable {
  return every(REAP_EVERY_MS, () => reapOverdue(world))
}

export async function reapOverdue({ ledger, events }: Reaping): Promise<void> {
  try {
    const expired = await ledger.reap(REAP_MAX)
    if (expired.length > 0) events.holdsExpired(expired.length)
  } catch (error) {
    events.ledgerFailed('reap', error)
  }
}
