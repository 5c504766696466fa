import type { LedgerFact } from '../domain/ledger/log-fold.ts'
import type { LedgerFault } from '../domain/ledger/ledger-fault.ts'
import type { Hold } from '../domain/ledger/reservation.ts'

/** Id of an epoch: the time from one opening of a store, after which it has lost nothing, to the next. */
export type EpochId = string

/** What a look at the store says. */
export interface StoreView {
  /**
   * `lost`: all or a part of it has no epoch, or another than the rest. `rebuilding`: the epoch is not open yet. In
   * both cases nothing can be reserved.
   */
  readonly state: 'lost' | 'rebuilding' | 'open'
  /** Epoch of the first shard as it stands there; '' without one. Tells one state of the store from another. */
  readonly seen: string
  /** Id of that epoch, without regard to whether it is open; '' without one. */
  readonly epoch: EpochId
  /** Which servers hold the store: another one, or the same after a restart, has another name. */
  readonly servers: string
  /** Own stamp in each part of the store by the name of the part, in ms by the store's clock; parts without it are missing. */
  readonly stamps: ReadonlyMap<string, number>
  /** Newest stamp of each gateway that ever left one. */
  readonly peers: ReadonlyMap<string, number>
  /** Origins of logs that have told this epoch all they know. */
  readonly told: ReadonlySet<string>
  /** Origins that this epoch waits for and that have not told. */
  readonly waitingFor: readonly string[]
  readonly givenUp: ReadonlySet<string>
  /** Which servers each gateway has checked. */
  readonly checked: ReadonlyMap<string, string>
  /** By the store's clock. */
  readonly nowMs: number
}

/** A log on its way into an epoch. */
export interface Joining {
  readonly epoch: EpochId
  /** The epoch as it stands in the shards now. */
  readonly seen: string
  readonly origin: string
  /** Random: tells two attempts of one log apart. */
  readonly attempt: string
  /** By this instant windows are judged, whenever a log is folded: epoch ms by the store's clock. */
  readonly atMs: number
}

export type JoinOutcome =
  | ({ readonly kind: 'joined' } & Joining)
  /** It has told all it knows already. */
  | { readonly kind: 'done' }
  /** An attempt that did not end has told some of it: nobody knows how much, so the store has to be emptied. */
  | { readonly kind: 'torn' }
  /** Look again in a moment. */
  | { readonly kind: 'opening' | 'gone' }

export type Opening =
  | { readonly kind: 'open' | 'gone' }
  /** Origins of logs that have not told yet. */
  | { readonly kind: 'waiting'; readonly origins: readonly string[] }

/** A settlement or a void that the store acknowledged. */
export interface Acknowledged {
  readonly hold: Hold
  readonly amounts: readonly number[]
}

/**
 * The store of a ledger that outlives the process, and can be lost apart from it.
 *
 * Owes: until `open` the ledger of this process reserves nothing, and posts nothing until `know`; both only in the epoch
 * that was named, which the store itself compares in each step. Every call answers or rejects with `LedgerUnavailable`
 * within a bound, and may be repeated.
 */
export interface LedgerStore {
  view(): Promise<StoreView>
  /** Origins of the logs of all gateways that ever left a stamp. */
  peers(): Promise<readonly string[]>
  /** Calls `noticed` when the store told a caller that it is not what it should be. */
  onNotice(noticed: () => void): void

  /** What reservations and settlements of this process are told from now on; resolves when none is under way. */
  close(fault: LedgerFault, detail?: string): Promise<void>
  /** Settlements of what is under way may be posted in this epoch. */
  know(epoch: EpochId, fault: LedgerFault): void
  /**
   * Decisions may be made in this epoch, on these servers: false when the servers are others by now. From here on a server
   * that is none of them makes no decision.
   */
  open(epoch: EpochId, servers: string): Promise<boolean>
  /** Whether the store is still in the epoch, on servers that were checked; when not, callers are told so from now on. */
  probe(epoch: EpochId): Promise<boolean>

  /** Deletes everything but the stamps, when the store is still as `seen`, and begins a new epoch. */
  wipe(seen: string): Promise<'begun' | 'busy' | 'changed'>
  /** A log begins to tell; a rebuild waits for it and for `expected` from here on. */
  join(epoch: EpochId, log: { origin: string; attempt: string; expected: readonly string[] }): Promise<JoinOutcome>
  /** Adds what a log says was settled. False when the epoch has gone meanwhile. */
  contribute(joining: Joining, facts: readonly LedgerFact[]): Promise<boolean>
  /** Brings an open call back: its hold, or, when its settlement is known, that. */
  bringBack(joining: Joining, hold: Hold, settled: readonly number[] | undefined): Promise<void>
  /** The log has told all it knows. False when the epoch has gone meanwhile. */
  finish(joining: Joining): Promise<boolean>
  /** Opens the epoch, or says whom it waits for. */
  openEpoch(epoch: EpochId): Promise<Opening>
  /** Waits no longer for this log. */
  giveUp(epoch: EpochId, origin: string): Promise<void>

  /** Leaves this gateway's stamp in each part; answers what stood there before and stands there now. */
  stamp(): Promise<ReadonlyMap<string, { readonly before: number | undefined; readonly now: number }>>
  /** Whether something was posted since the last stamp. */
  needsStamp(): boolean
  /** What the store acknowledged since this instant by the process's clock; undefined when not all of it is remembered. */
  acknowledgedSince(ms: number): readonly Acknowledged[] | undefined
  /** Says that this gateway has checked these servers, for the others to see. */
  noteChecked(epoch: EpochId, servers: string): Promise<void>
}
