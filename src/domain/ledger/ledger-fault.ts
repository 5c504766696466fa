/**
 * Why a ledger gave no answer: a closed list, so that it can be a label and a word of a record, and what each means in the
 * words that a caller may read. No address, no name of a key and no credential is among them.
 */
export const LEDGER_FAULTS = {
  timeout: 'the ledger did not answer in time',
  connection_refused: 'nobody listens where the ledger should be',
  connection_lost: 'the connection to the ledger broke',
  unreachable: 'the ledger cannot be reached',
  loading: 'the ledger is reading its data back',
  out_of_memory: 'the ledger is out of memory',
  read_only: 'the ledger takes no writes: it is a replica',
  cannot_persist: 'the ledger cannot write to its disk',
  not_authorized: 'the ledger does not accept its credentials',
  cluster_down: 'a part of the ledger has no primary',
  moving: 'a part of the ledger is on its way to another server',
  primary_down: 'the ledger lost its primary',
  no_replicas: 'the ledger has too few replicas to take writes',
  busy: 'the ledger is busy with another script',
  unverified: 'the server of the ledger changed and is being checked',
  lost: 'the ledger lost its data, which is being brought back from the audit log',
  rebuilding: 'the ledger is being rebuilt from the audit log',
  waiting: 'the ledger is being rebuilt and waits for the log of another gateway',
  unexpected: 'the ledger failed',
} as const

export type LedgerFault = keyof typeof LEDGER_FAULTS

const REBUILDING: ReadonlySet<LedgerFault> = new Set(['unverified', 'lost', 'rebuilding', 'waiting'])

/** Whether the ledger is there and hears from the logs what it lost: what is decided meanwhile could be told twice. */
export function isBeingRebuilt(fault: LedgerFault): boolean {
  return REBUILDING.has(fault)
}
