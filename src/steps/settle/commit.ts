import { TOMBSTONE_MS } from '../../domain/ledger/accumulator-geometry.ts'
import { isLocal } from '../../domain/ledger/reservation.ts'
import { writeNote } from '../../domain/audit/settlement-note.ts'
import type { Settlement } from '../../domain/settlement.ts'
import type { World } from '../../ports.ts'
import { signSettlement } from '../sign.ts'
import { persist } from './persist.ts'

type Committing = Pick<World, 'auditLog' | 'clock' | 'events' | 'ids' | 'ledger' | 'openCalls' | 'pseudonyms' | 'timer'>

/**
 * A hold that the ledger does not know is settled by force for this long after the first attempt. A first attempt that did
 * get through has left a tombstone, and while that is remembered nothing is charged twice; the difference is more than any
 * command takes. Later the log alone has the settlement.
 */
const FORCE_WITHIN_MS = TOMBSTONE_MS - 20_000

/**
 * Writes a settlement to the ledger and to the log, each until it is acknowledged. Nothing waits for it but shutdown: the
 * ledger's command leaves before the answer's last byte, so the caller's next call finds it done. The call is open until
 * both are done with it.
 */
export async function commit(settlement: Settlement, world: Committing): Promise<void> {
  const { hold, facts } = settlement.admitted
  const id = world.ids.next()
  const callId = facts.call.id
  world.openCalls.settling(hold.id, settlement.amounts)
  const inLedger = (isWritten: boolean) => {
    // What was decided while the ledger was away is open until the ledger has it: whoever posts it says when.
    if (isWritten && isLocal(hold.id)) return
    world.openCalls.done(hold.id, 'ledger', isWritten)
  }
  const sign = () => signSettlement(settlement, id, world)
  // The log is the truth: as long as this process lives, it is owed what it did not take.
  const inLog = (isWritten: boolean) =>
    isWritten ? world.openCalls.done(hold.id, 'audit', true) : world.openCalls.owe(hold.id, sign)
  const settled = persist({ callId, store: 'ledger', write: settling(settlement, world) }, world)
  const signed = persist({ callId, store: 'audit', write: sign }, world)
  await Promise.all([settled.then(inLedger), signed.then(inLog)])
}

/** One attempt at the ledger; gives up by itself when the hold is unknown and force would be too late. */
function settling(settlement: Settlement, world: Committing): () => Promise<void> {
  const { hold, facts } = settlement.admitted
  const firstAttemptMs = world.clock.nowMs()
  const note = writeNote(settlement)
  return async () => {
    const force = world.clock.nowMs() - firstAttemptMs < FORCE_WITHIN_MS
    const outcome = await world.ledger.settle(hold, settlement.amounts, { note, force })
    if (outcome.kind !== 'unknown') return
    world.events.settlementAbandoned(facts.call.id, 'ledger', new Error('the ledger does not know the hold any more'))
  }
}
