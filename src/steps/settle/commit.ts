import { writeNote } from '../../domain/settlement-note.ts'
import type { Settlement } from '../../domain/settlement.ts'
import type { World } from '../../ports.ts'
import { signSettlement } from '../sign.ts'
import { persist } from './persist.ts'

type Committing = Pick<World, 'auditLog' | 'clock' | 'events' | 'ids' | 'ledger' | 'openCalls' | 'pseudonyms' | 'timer'>

/**
 * Writes a settlement to the ledger and to the log, each until it is acknowledged. Nothing waits for it but shutdown: the
 * ledger's command leaves before the answer's last byte, so the caller's next call finds it done.
 */
export async function commit(settlement: Settlement, world: Committing): Promise<void> {
  const { hold } = settlement.admitted
  const id = world.ids.next()
  const callId = settlement.admitted.facts.call.id
  const settle = async () => {
    const outcome = await world.ledger.settle(hold, settlement.amounts, writeNote(settlement))
    if (outcome.kind === 'unknown') throw new Error('the ledger does not know the hold')
  }
  const settled = persist({ callId, store: 'ledger', write: settle }, world)
  const signed = persist({ callId, store: 'audit', write: () => signSettlement(settlement, id, world) }, world)
  await Promise.all([settled.finally(() => world.openCalls.close(hold.id)), signed])
}
