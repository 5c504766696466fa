import type { EpochId } from './ledger-store.ts'

/** What a gateway knows of its ledger's store besides what the store says: a store that was lost, or put back, says less. */
export interface StoreMemory {
  /** The last epoch that this gateway's log had told all it knows; '' before the first. */
  readonly epoch: EpochId
  /** The servers that were checked last. */
  readonly servers: string
  /** The last acknowledged stamp in each part of the store, in ms by the store's clock. */
  readonly stamps: Readonly<Record<string, number>>
  /** Origins of the logs of all gateways that ever left a stamp there: a rebuild waits for them. */
  readonly peers: readonly string[]
}

/**
 * Keeps that memory across restarts of the process.
 *
 * Owes: `write` replaces what was there as a whole or not at all. Losing the last second of it loses no safety: an older
 * memory asks less of the store.
 */
export interface StoreNotes {
  /** Undefined before the first `write`. */
  read(): Promise<StoreMemory | undefined>
  write(memory: StoreMemory): Promise<void>
}
