/**
 * Stands beside a ledger that can be away, for calls whose rules are all `local`: while it is, this node decides within its
 * share and remembers what was spent; when it is back, it gets that.
 *
 * An outage lasts from the first decision of this node until the ledger has all that was spent by then. Each gives the
 * shares once. A budget of which this node has spent something gives nothing in the next outage until the ledger has been
 * asked about it in between.
 */
import { reassertedMarks, isLocal } from '../../domain/ledger/reservation.ts'
import type {
  Hold,
  ReservationId,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from '../../domain/ledger/reservation.ts'
import type { Clock } from '../../ports.ts'
import type { Events } from '../../ports/events.ts'
import type { Ledger, SettleOptions } from '../../ports/ledger.ts'
import { AwayShares } from './away-shares.ts'
import { LastSeen } from './last-seen.ts'
import { createMemoryLedger } from './ledger.ts'
import type { MemoryLedger } from './ledger.ts'
import { Outbox } from './outbox.ts'

export interface StandInOptions {
  readonly ledger: Ledger
  readonly clock: Clock
  readonly events: Pick<Events, 'ledgerFailed' | 'settlementAbandoned'>
  /** Nodes that share the ledger, as far as this one last knew; while it does not know, nothing is given. */
  readonly nodes: () => number | undefined
  /** The ledger has what this hold became, or never will. */
  readonly posted: (id: ReservationId) => void
}

/** Calls that this node decided and the ledger has not heard of, at most: some tens of megabytes. More are refused. */
const UNPOSTED_MAX = 50_000

/** The ledger, with somebody who stands in for it: what concerns holds goes through that, the rest to the ledger itself. */
export function withStandIn(options: StandInOptions): Ledger {
  const { ledger } = options
  const standIn = new StandIn(options)
  return {
    kind: ledger.kind,
    reserve: (request) => standIn.reserve(request),
    reserveLocally: (request) => standIn.reserveLocally(request),
    settle: (hold, actual, more) => standIn.settle(hold, actual, more),
    void: (hold) => ledger.void(hold),
    release: (holds) => ledger.release(holds),
    extend: (holds, leaseMs) => ledger.extend(holds, leaseMs),
    reassert: (hold, leaseMs) => ledger.reassert(hold, leaseMs),
    reap: (max) => ledger.reap(max),
    balances: (accumulators) => ledger.balances(accumulators),
    budgets: (wanted) => ledger.budgets(wanted),
    holds: (max) => ledger.holds(max),
    expired: (owner, max) => ledger.expired(owner, max),
    find: (id) => ledger.find(id),
    noteOf: (id) => ledger.noteOf(id),
    ping: () => ledger.ping(),
    ...optional(ledger),
    [Symbol.asyncDispose]: () => standIn[Symbol.asyncDispose](),
  }
}

function optional(ledger: Ledger): Pick<Ledger, 'closedFor' | 'countNodes' | 'inspect'> {
  return {
    ...(ledger.closedFor && { closedFor: () => ledger.closedFor?.() }),
    ...(ledger.countNodes && { countNodes: (owner: string) => ledger.countNodes?.(owner) ?? Promise.resolve(1) }),
    ...(ledger.inspect && { inspect: async () => (await ledger.inspect?.()) ?? [] }),
  }
}

interface Outage {
  readonly shares: AwayShares
  readonly memory: MemoryLedger
  /** Holds of which the ledger has not heard, as this node's memory has them. */
  readonly holds: Map<ReservationId, Hold>
  /** Decisions under way. Owned by the stand-in. */
  deciding: number
  /** Whether anything was admitted in it. */
  isUsed: boolean
}

class StandIn implements AsyncDisposable {
  readonly #options: StandInOptions
  readonly #seen = new LastSeen()
  readonly #outbox: Outbox
  #outage: Outage | undefined

  constructor(options: StandInOptions) {
    this.#options = options
    this.#outbox = new Outbox({ ...options, over: (hold) => this.#over(hold) })
  }

  async reserve(request: ReservationRequest): Promise<ReserveOutcome> {
    const outcome = await this.#options.ledger.reserve(request)
    this.#seen.note(request.charges, outcome)
    return outcome
  }

  async reserveLocally(request: ReservationRequest): Promise<ReserveOutcome | undefined> {
    // Set before anything is waited for: calls that come at once share one outage.
    const outage = (this.#outage ??= this.#begin())
    if (outage === undefined) return undefined
    outage.deciding += 1
    try {
      const charges = outage.shares.of(request.charges)
      if (charges === undefined || outage.holds.size >= UNPOSTED_MAX) return undefined
      const outcome = await outage.memory.reserve({ ...request, charges })
      if (outcome.kind !== 'held') return outcome
      outage.holds.set(request.id, outcome.hold)
      outage.isUsed = true
      // For the ledger it is a hold that its store lost.
      const hold = { ...outcome.hold, charges: request.charges }
      return { ...outcome, hold: { ...hold, marks: reassertedMarks(hold) } }
    } finally {
      outage.deciding -= 1
      this.#endIfOver(outage)
    }
  }

  async settle(hold: Hold, actual: readonly number[], options: SettleOptions = {}): Promise<SettleOutcome> {
    const held = isLocal(hold.id) ? this.#outage?.holds.get(hold.id) : undefined
    if (this.#outage === undefined || held === undefined) return this.#options.ledger.settle(hold, actual, options)
    const outcome = await this.#outage.memory.settle(held, actual)
    if (outcome.kind !== 'already') this.#outbox.put({ hold, actual, note: options.note ?? '' })
    return { kind: 'deferred' }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outbox[Symbol.asyncDispose]()
    await this.#options.ledger[Symbol.asyncDispose]()
  }

  #begin(): Outage | undefined {
    const { clock } = this.#options
    const nodes = this.#options.nodes()
    if (nodes === undefined) return undefined
    return {
      shares: new AwayShares(this.#seen, nodes),
      memory: createMemoryLedger({ clock }),
      holds: new Map(),
      deciding: 0,
      isUsed: false,
    }
  }

  #over({ id }: Hold): void {
    this.#options.posted(id)
    if (this.#outage === undefined) return
    this.#outage.holds.delete(id)
    this.#endIfOver(this.#outage)
  }

  #endIfOver(outage: Outage): void {
    if (outage !== this.#outage || outage.holds.size > 0 || outage.deciding > 0) return
    if (outage.isUsed) this.#seen.forget(outage.shares.names())
    this.#outage = undefined
  }
}
