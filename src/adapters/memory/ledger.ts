/**
 * The ledger of one process, and the readable specification of every other: what it answers, they answer.
 *
 * Each operation runs to its end without giving up the thread, which makes it one atomic step. Nothing survives the
 * process: `restore` brings settled spend back from the audit log. Memory is bounded by what is in flight and by what was
 * used lately: everything else is forgotten at an instant of its own.
 */
import type { Accumulator, AccumulatorState } from '../../domain/ledger/accumulator.ts'
import {
  assertAccumulator,
  assertHold,
  assertNote,
  assertOwner,
  assertReservation,
  assertReservationId,
  assertRestoredSpend,
  assertSettlement,
} from '../../domain/ledger/accumulator-check.ts'
import { EXPIRED_KEPT_MS, NOTE_KEPT_MS, TOMBSTONE_MS } from '../../domain/ledger/accumulator-geometry.ts'
import { LEASE_MS, reassertedMarks } from '../../domain/ledger/reservation.ts'
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
} from '../../domain/ledger/reservation.ts'
import type { Clock } from '../../ports.ts'
import type { Ledger, SettleOptions } from '../../ports/ledger.ts'
import type { SpanBeginning } from '../../domain/ledger/run-beginnings.ts'
import { createAccumulators } from './accumulators.ts'
import type { RestoredSpend } from './counter.ts'
import { byExpiry, byLease, listed, opened } from './leases.ts'
import type { Expired, Lease } from './leases.ts'
import { createShelf } from './shelf.ts'

export interface MemoryLedger extends Ledger {
  readonly kind: 'memory'
  /** Adds settled spend to its budgets, and begins runs where they began. Called once per fact, before the first decision. */
  restore(entries: readonly RestoredSpend[], spans?: readonly SpanBeginning[]): void
  /** Number of things kept, for tests of boundedness. */
  size(): number
}

export function createMemoryLedger(options: { readonly clock: Clock }): MemoryLedger {
  return new InProcessLedger(options.clock)
}

class InProcessLedger implements MemoryLedger {
  readonly kind = 'memory'
  readonly #clock: Clock
  readonly #accumulators = createAccumulators()
  /** What is held now. An id is in at most one of these three. */
  readonly #held = new Map<ReservationId, Lease>()
  readonly #expired = createShelf<Expired>()
  /** With their notes. */
  readonly #settled = createShelf<string>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  async reserve(request: ReservationRequest): Promise<ReserveOutcome> {
    assertReservation(request)
    const nowMs = this.#clock.nowMs()
    this.#sweep(nowMs)
    const known = this.#stateOf(request.id, nowMs)
    if (known) return { kind: 'duplicate', state: known }
    const atUs = nowMs * 1_000
    const outcome = this.#accumulators.charge(request.charges, atUs, request.fit)
    if (outcome.kind !== 'charged') return outcome
    const { id, owner } = request
    const { charges, granted, marks } = outcome
    const hold: Hold = { id, charges, atUs, marks, owner }
    this.#held.set(hold.id, { hold, untilMs: nowMs + request.leaseMs })
    return { kind: 'held', hold, states: outcome.states, ...(granted !== undefined && { granted }) }
  }

  async settle(hold: Hold, actual: readonly number[], options: SettleOptions = {}): Promise<SettleOutcome> {
    assertReservationId(hold.id)
    assertSettlement(hold.charges, actual)
    const { note = '' } = options
    assertNote(note)
    const outcome = this.#settle(hold.id, actual, note)
    if (outcome) return outcome
    if (options.force !== true) return { kind: 'unknown' }
    this.#reassert(hold, LEASE_MS)
    const forced = this.#settle(hold.id, actual, note)
    return forced?.kind === 'settled' ? { ...forced, before: 'unknown' } : { kind: 'unknown' }
  }

  async void(hold: Pick<Hold, 'id' | 'charges' | 'owner'>): Promise<SettleOutcome> {
    assertReservationId(hold.id)
    const actual = hold.charges.map(() => 0)
    const outcome = this.#settle(hold.id, actual, '')
    if (outcome) return outcome
    this.#settled.put(hold.id, '', this.#clock.nowMs() + TOMBSTONE_MS)
    return { kind: 'settled', before: 'unknown', overshoot: 0 }
  }

  async release(holds: readonly Pick<Hold, 'id'>[]): Promise<void> {
    const nowMs = this.#clock.nowMs()
    for (const { id } of holds) if (this.#settled.get(id, nowMs)) this.#settled.put(id, '', nowMs + TOMBSTONE_MS)
  }

  async extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]> {
    const untilMs = this.#clock.nowMs() + leaseMs
    const lost: ReservationId[] = []
    for (const { id } of holds) {
      const lease = this.#held.get(id)
      // An extension never shortens a lease.
      if (lease) this.#held.set(id, { ...lease, untilMs: Math.max(lease.untilMs, untilMs) })
      else lost.push(id)
    }
    return lost
  }

  async reassert(hold: Hold, leaseMs: number): Promise<ReassertOutcome> {
    return this.#reassert(hold, leaseMs)
  }

  async reap(max: number): Promise<readonly ExpiredHold[]> {
    const nowMs = this.#clock.nowMs()
    const overdue = [...this.#held.values()].filter(({ untilMs }) => untilMs <= nowMs).sort(byLease)
    return overdue.slice(0, max).map(({ hold }) => {
      this.#accumulators.expire(hold, nowMs)
      this.#held.delete(hold.id)
      this.#expired.put(hold.id, { hold, atMs: nowMs }, nowMs + EXPIRED_KEPT_MS)
      return listed(hold)
    })
  }

  async balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]> {
    for (const [index, accumulator] of accumulators.entries()) assertAccumulator(`accumulators[${index}]`, accumulator)
    return this.#accumulators.states(accumulators, this.#clock.nowMs() * 1_000)
  }

  async *budgets(wanted: (key: string) => boolean): AsyncGenerator<BudgetPage> {
    yield this.#accumulators.budgets(wanted, this.#clock.nowMs())
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    const oldest = [...this.#held.values()].sort(byLease).slice(0, max)
    return oldest.map(opened)
  }

  async expired(owner: string, max: number): Promise<readonly Hold[]> {
    assertOwner(owner)
    const own = this.#expired.values(this.#clock.nowMs()).filter(({ hold }) => hold.owner === owner)
    return own
      .toSorted(byExpiry)
      .slice(0, max)
      .map(({ hold }) => hold)
  }

  async find(id: ReservationId): Promise<Hold | undefined> {
    return this.#held.get(id)?.hold ?? this.#expired.get(id, this.#clock.nowMs())?.hold
  }

  async noteOf(id: ReservationId): Promise<string | undefined> {
    return this.#settled.get(id, this.#clock.nowMs()) || undefined
  }

  async ping(): Promise<void> {}

  restore(entries: readonly RestoredSpend[], spans: readonly SpanBeginning[] = []): void {
    for (const [index, entry] of entries.entries()) assertRestoredSpend(`entries[${index}]`, entry)
    this.#accumulators.restore(entries, this.#clock.nowMs())
    this.#accumulators.restoreSpans(spans)
  }

  size(): number {
    return this.#accumulators.size() + this.#held.size + this.#expired.size + this.#settled.size
  }

  async [Symbol.asyncDispose](): Promise<void> {}

  #reassert(hold: Hold, leaseMs: number): ReassertOutcome {
    assertHold(hold, leaseMs)
    const nowMs = this.#clock.nowMs()
    const state = this.#stateOf(hold.id, nowMs)
    if (state) return { kind: 'known', state }
    this.#accumulators.reassert(hold, nowMs)
    const { id, charges, atUs, owner } = hold
    const again: Hold = { id, charges, atUs, marks: reassertedMarks(hold), owner }
    this.#held.set(id, { hold: again, untilMs: nowMs + leaseMs })
    return { kind: 'reasserted' }
  }

  /** Undefined when the id is not known. */
  #settle(id: ReservationId, actual: readonly number[], note: string): SettleOutcome | undefined {
    const nowMs = this.#clock.nowMs()
    const before = this.#stateOf(id, nowMs)
    if (before === 'settled') return { kind: 'already' }
    const hold = this.#held.get(id)?.hold ?? this.#expired.get(id, nowMs)?.hold
    if (!before || !hold) return undefined
    const overshoot = this.#accumulators.settle(hold, { before, actual, nowUs: nowMs * 1_000 })
    this.#held.delete(id)
    this.#expired.delete(id)
    this.#settled.put(id, note, nowMs + (note === '' ? TOMBSTONE_MS : NOTE_KEPT_MS))
    return { kind: 'settled', before, overshoot }
  }

  #stateOf(id: ReservationId, nowMs: number): 'held' | 'expired' | 'settled' | undefined {
    if (this.#held.has(id)) return 'held'
    if (this.#expired.get(id, nowMs)) return 'expired'
    return this.#settled.get(id, nowMs) === undefined ? undefined : 'settled'
  }

  #sweep(nowMs: number): void {
    this.#accumulators.sweep(nowMs)
    this.#expired.sweep(nowMs)
    this.#settled.sweep(nowMs)
  }
}
