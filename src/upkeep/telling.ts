/**
 * How a log tells an epoch what it knows: what was settled before, and what is open now. It is worked out once and told
 * until it is acknowledged, so that a repeat tells the same.
 */
import type { AuditRecord } from '../domain/audit/audit-record.ts'
import { factsOf, foldLog } from '../domain/ledger/log-fold.ts'
import type { LedgerFact } from '../domain/ledger/log-fold.ts'
import type { ShardOfKey } from '../domain/policy/rule-shards.ts'
import type { Ids } from '../ports.ts'
import type { IdleLog } from '../ports/audit-log.ts'
import type { EpochId, JoinOutcome, Joining, LedgerStore } from '../ports/ledger-store.ts'
import type { OpenCall } from './open-calls.ts'

/** Calls brought back at a time: bounds the commands that wait in the connection. */
const CALLS_AT_ONCE = 50

/**
 * The attempts of all who tell for a log whose process is gone have one name: the log does not change, so each can go on
 * where another one ended.
 */
const IDLE_ATTEMPT = 'idle'

export interface Told {
  readonly facts: number
  readonly calls: number
}

export interface Teller {
  readonly origin: string
  readonly store: LedgerStore
  readonly records: () => AsyncIterable<AuditRecord>
  readonly openCalls: () => readonly OpenCall[]
  readonly shardOf: () => ShardOfKey
  readonly ids: Ids
}

/** What one log has to tell one epoch. */
interface Account {
  readonly joining: Joining
  readonly facts: readonly LedgerFact[]
  readonly calls: readonly OpenCall[]
}

export type TellOutcome = ({ readonly kind: 'told' } & Told) | Exclude<JoinOutcome, { kind: 'joined' }>

/** The log of this process. */
export class OwnTelling {
  readonly #teller: Teller
  /** One for each account: after a restart of the process nobody knows what the last one had told. */
  #attempt = ''
  #epoch = ''
  #account: Account | undefined

  constructor(teller: Teller) {
    this.#teller = teller
  }

  async tell(epoch: EpochId, expected: readonly string[]): Promise<TellOutcome> {
    const { store, origin, ids } = this.#teller
    if (this.#epoch !== epoch) {
      this.#epoch = epoch
      this.#account = undefined
      this.#attempt = ids.next()
    }
    const joined = await store.join(epoch, { origin, attempt: this.#attempt, expected })
    if (joined.kind !== 'joined') return joined
    this.#account ??= await this.#workOut(joined)
    const account = { ...this.#account, joining: joined }
    return tell(store, account)
  }

  /** Nothing is being reserved: what is open now is all that the log does not say yet. */
  async #workOut(joining: Joining): Promise<Account> {
    const { openCalls, records, shardOf } = this.#teller
    const calls = openCalls()
    const fold = foldLog(joining.atMs, new Set(calls.map(({ hold }) => hold.id)))
    for await (const record of records()) fold.add(record)
    return { joining, facts: factsOf(fold.sums(), shardOf()), calls }
  }
}

/** A log whose process is gone: its open calls are over, and count at their bound. */
export async function tellIdle(
  log: IdleLog,
  { store, shardOf }: Pick<Teller, 'store' | 'shardOf'>,
  { epoch, expected }: { readonly epoch: EpochId; readonly expected: readonly string[] },
): Promise<TellOutcome> {
  const joined = await store.join(epoch, { origin: log.origin, attempt: IDLE_ATTEMPT, expected })
  if (joined.kind !== 'joined') return joined
  const fold = foldLog(joined.atMs)
  for await (const record of log.records()) fold.add(record)
  return tell(store, { joining: joined, facts: factsOf(fold.sums(), shardOf()), calls: [] })
}

async function tell(store: LedgerStore, { joining, facts, calls }: Account): Promise<TellOutcome> {
  if (!(await store.contribute(joining, facts))) return { kind: 'gone' }
  for (let start = 0; start < calls.length; start += CALLS_AT_ONCE) {
    const some = calls.slice(start, start + CALLS_AT_ONCE)
    await Promise.all(some.map(({ hold, settled }) => store.bringBack(joining, hold, settled)))
  }
  if (!(await store.finish(joining))) return { kind: 'gone' }
  return { kind: 'told', facts: facts.length, calls: calls.length }
}
