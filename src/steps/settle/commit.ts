import { writeNote } from '../../domain/settlement-note.ts'
import type { Settlement } from '../../domain/settlement.ts'
import type { World } from '../../ports.ts'
import { signSettlement } from '../sign.ts'

/**
 * Waits between attempts, in milliseconds: about 50 s in all, well inside the lease of the hold, so that a settlement that
 * gets through at the last attempt still finds its hold alive. After that the hold expires to what it held.
 */
const RETRY_AFTER_MS = [50, 100, 200, 400, 800, 1_600, 3_200, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000, 5_000]

type Committing = Pick<World, 'auditLog' | 'clock' | 'events' | 'ids' | 'ledger' | 'openCalls' | 'pseudonyms' | 'timer'>

/**
 * Writes a settlement to the ledger and to the log, each until it is acknowledged. Nothing waits for it but shutdown: the
 * ledger's command leaves before the answer's last byte, so the caller's next call finds it done.
 */
export async function commit(settlement: Settlement, world: Committing): Promise<void> {
  const { hold } = settlement.admitted
  const id = world.ids.next()
  const settled = persist('ledger', settlement, world, async () => {
    const outcome = await world.ledger.settle(hold, settlement.amounts, writeNote(settlement))
    if (outcome.kind === 'unknown') throw new Error('the ledger does not know the hold')
  })
  const signed = persist('audit', settlement, world, () => signSettlement(settlement, id, world))
  await Promise.all([settled.finally(() => world.openCalls.close(hold.id)), signed])
}

async function persist(
  store: 'ledger' | 'audit',
  settlement: Settlement,
  world: Committing,
  write: () => Promise<unknown>,
): Promise<void> {
  const callId = settlement.admitted.facts.call.id
  for (let attempt = 0; ; attempt += 1) {
    try {
      await write()
      return
    } catch (error) {
      const pause = RETRY_AFTER_MS[attempt]
      if (pause === undefined) return world.events.settlementAbandoned(callId, store, error)
      world.events.settlementDelayed(callId, store, attempt + 1, error)
      await world.timer.wait(pause)
    }
  }
}
