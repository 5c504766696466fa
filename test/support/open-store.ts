/**
 * Begins an epoch in a store that is empty or may be emptied, as a gateway does that has nothing to tell.
 */
import type { LedgerStore } from '../../src/ports/ledger-store.ts'

export async function openStore(store: LedgerStore): Promise<void> {
  await store.wipe((await store.view()).seen)
  const { epoch, servers } = await store.view()
  const opening = await store.openEpoch(epoch)
  store.know(epoch, 'lost')
  if (opening.kind !== 'open' || !(await store.open(epoch, servers))) throw new Error('the store did not open')
}
