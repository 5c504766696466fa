import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import { every } from './every.ts'

/** How often a node says that it is there, and hears how many are: a node that joins is known to all within this. */
const LOOK_EVERY_MS = 5_000

interface Looking {
  readonly ledger: Ledger
  readonly events: Pick<Events, 'ledgerFailed'>
  /** Origin of the log, which names the node. */
  readonly owner: string
  readonly heard: (nodes: number) => void
}

/**
 * Counts the nodes that share the ledger, for the share of each while it is away. Resolves after the first look; what was
 * heard last stays while there is no answer.
 */
export async function startPresence(looking: Looking): Promise<Disposable> {
  await look(looking)
  return every(LOOK_EVERY_MS, () => look(looking))
}

async function look({ ledger, events, owner, heard }: Looking): Promise<void> {
  try {
    const nodes = await ledger.countNodes?.(owner)
    if (nodes !== undefined) heard(nodes)
  } catch (error) {
    events.ledgerFailed('presence', error)
  }
}
