import type { Accumulator, AccumulatorState } from '../domain/ledger/accumulator.ts'
import type { LedgerUnavailable } from '../domain/failures.ts'
import type {
  BudgetPage,
  ExpiredHold,
  Hold,
  OpenHold,
  ReassertOutcome,
  ReservationId,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from '../domain/ledger/reservation.ts'

/** Something about a store. An error means that it would forget or miscount: nothing may start on it. */
export interface LedgerFinding {
  readonly severity: 'error' | 'warning'
  /** One sentence, and what to do; without an address or a credential. */
  readonly message: string
}

export interface SettleOptions {
  /**
   * What the owner's log will say of it, for an owner that dies before the log does: at most 2,048
   * characters, kept until `release`, at most a day. So long the settlement is recognised, too.
   */
  readonly note?: string
  /**
   * Posts the amounts also when the ledger does not know the hold, because its store lost it. Only for a hold of the
   * caller's own, and only while a tombstone of its first attempt would still be known: later it could charge twice.
   */
  readonly force?: boolean
}

/**
 * Holds every accumulator.
 *
 * Owes: `reserve` checks and charges all accumulators in one atomic step or changes none; a refusal leaves no trace at
 * all. The reservation id comes from the caller and every operation is idempotent by it: a repeat gives the state of the
 * first and changes nothing. A rejected promise means that it may or may not have happened; the caller voids. A
 * settlement charges the window of its reservation, records what the call really cost even when that is more than was
 * held, and corrects an expired hold by the difference. A hold that outlives its lease is charged in full by `reap`,
 * never released. Every call answers or rejects with
 * `LedgerUnavailable` within a bound.
 */
export interface Ledger extends AsyncDisposable {
  readonly kind: 'memory' | 'redis'
  reserve(request: ReservationRequest): Promise<ReserveOutcome>
  /**
   * `actual[i]` replaces `hold.charges[i].amount`. Concurrency charges free their place whatever is given. With `force`
   * an unknown hold is settled as if it had been re-asserted just before.
   */
  settle(hold: Hold, actual: readonly number[], options?: SettleOptions): Promise<SettleOutcome>
  /** Settles at zero, also an id that is not known yet: a reserve of that id that arrives later is refused. */
  void(hold: Pick<Hold, 'id' | 'charges' | 'owner'>): Promise<SettleOutcome>
  /** The owner's log has these settlements: their notes are forgotten now, the settlements two minutes later. */
  release(holds: readonly Pick<Hold, 'id' | 'charges'>[]): Promise<void>
  /** Gives the holds another lease; answers the ids that are no longer held. */
  extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]>
  /**
   * Brings a hold back that the store lost. There is no limit check, because it was admitted: budgets whose window is still
   * kept and places are held again; rings and buckets only protect, and start anew without it. An id that is held, expired
   * or settled is left alone. Only for a hold of the caller's own that it has not settled, or not longer ago than
   * settlements are remembered.
   */
  reassert(hold: Hold, leaseMs: number): Promise<ReassertOutcome>
  /** Charges at most `max` overdue holds in full and says which. */
  reap(max: number): Promise<readonly ExpiredHold[]>
  /** State now, without changing anything. */
  balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]>
  /**
   * The budgets whose key is wanted, also those whose window is over but still kept, page by page and in no order. A look at
   * a ledger in use and not at one moment of it: one may come twice. Whoever asks bounds how many pages it takes.
   */
  budgets(wanted: (key: string) => boolean): AsyncIterable<BudgetPage>
  /** At most `max` open holds, oldest lease first. */
  holds(max: number): Promise<readonly OpenHold[]>
  /**
   * At most `max` expired holds of this owner that nobody has settled, the longest expired first. Only reads. A hold that
   * expired more than a week ago is final and not among them.
   */
  expired(owner: string, max: number): Promise<readonly Hold[]>
  /** The hold of an id that is held or expired, as far as the ledger still knows it. */
  find(id: ReservationId): Promise<Hold | undefined>
  /** The note of a settled reservation while it is kept. */
  noteOf(id: ReservationId): Promise<string | undefined>
  /**
   * Decides within this node's share while the store is away, under an id of {@link localId}. Undefined when the call
   * belongs to a rule that gives no share, or when too much waits to be posted; absent on a ledger that needs none.
   */
  reserveLocally?(request: ReservationRequest): Promise<ReserveOutcome | undefined>
  /** Says that the node of this log is there, and how many are; absent where there is only one. */
  countNodes?(owner: string): Promise<number>
  /** Why nothing is decided by the ledger although its store answers: it lost what it was told, or may have. */
  closedFor?(): LedgerUnavailable | undefined
  /** Resolves when the store answers and takes writes; rejects when it does not, within a bound. Changes nothing. */
  ping(): Promise<void>
  /** How the store is set up, as far as something is wrong with it; absent where there is nothing to set up. */
  inspect?(): Promise<readonly LedgerFinding[]>
}
