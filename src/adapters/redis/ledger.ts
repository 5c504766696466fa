/**
 * The ledger in Redis: one script per step and part of a decision. One Redis has one part; on a Cluster there is one for
 * each shard, all at once. Every node of the gateway talks to the same store; Redis's clock is the clock.
 *
 * When one part is refused, the others are given back. Each shard keeps its own limits whatever becomes of the others, so
 * nothing is ever above a limit; a refused call may hold something elsewhere for a round trip, or for a lease when its
 * node dies just then.
 */
import type { Accumulator, AccumulatorState } from '../../domain/ledger/accumulator.ts'
import {
  assertAccumulator,
  assertHold,
  assertNote,
  assertOwner,
  assertReservation,
  assertReservationId,
  assertSettlement,
} from '../../domain/ledger/accumulator-check.ts'
import { TOMBSTONE_MS } from '../../domain/ledger/accumulator-geometry.ts'
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
import type { LedgerUnavailable } from '../../domain/failures.ts'
import type { LedgerStore } from '../../ports/ledger-store.ts'
import type { Ledger, SettleOptions } from '../../ports/ledger.ts'
import { AcknowledgedRing } from './epoch/acknowledged.ts'
import { readBalances, tellBalances } from './balances.ts'
import { readBudgets } from './budgets.ts'
import type { RedisCommands } from './connection/client.ts'
import { connectRedis } from './connection/connect.ts'
import type { RedisAccess, RedisPlace } from './connection/connect.ts'
import { EpochGuard } from './epoch/epoch-guard.ts'
import { createKeys } from './keys.ts'
import type { Keys } from './keys.ts'
import { mergeReassert, mergeSettle } from './parts/merge.ts'
import { Outbox } from './parts/outbox.ts'
import type { ReportUndelivered } from './parts/outbox.ts'
import { PartScripts } from './parts/part-scripts.ts'
import { reserveWhole } from './parts/reserve-whole.ts'
import { ofPart, partsOf } from './parts/parts.ts'
import type { Part } from './parts/parts.ts'
import { countNodes } from './presence.ts'
import { Reaper } from './reaper.ts'
import { Reply } from './replies.ts'
import { loadScripts, ownScript } from './scripts.ts'
import { inspectSetup } from './connection/setup.ts'
import { inScripts, ofAll, ofShards } from './epoch/spread.ts'
import type { Home } from './epoch/spread.ts'
import type { Scripts } from './scripts.ts'
import { RedisStore } from './epoch/store.ts'

export type RedisLedgerOptions = RedisPlace &
  RedisAccess & {
    /** First part of every key; separates several ledgers in one Redis. */
    readonly prefix?: string
    /** For tests that turn the clock; otherwise the scripts that lie beside this file. */
    readonly scripts?: Scripts
    /** Told when a part of a refused decision on a Cluster could not be given back: its lease will charge it. */
    readonly onUndelivered?: ReportUndelivered
    /**
     * Origin of the log of the gateway that decides by this ledger: then nothing is decided before its `store` was opened.
     * Without it only what belongs to no gateway may use the ledger: commands that read, tests and measurements.
     */
    readonly owner?: string
  }

/** A ledger whose store can be lost apart from the process. */
export interface StoredLedger extends Ledger {
  readonly store: LedgerStore
}

interface Parts {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
  readonly report: ReportUndelivered
  readonly owner: string
  /** Undefined: the epoch is not looked at. */
  readonly guard: EpochGuard | undefined
}

/** Connects in the background: the first call waits for the connection, within its bound. */
export function createRedisLedger(options: RedisLedgerOptions): StoredLedger {
  const { owner, scripts = loadScripts() } = options
  return new RedisLedger({
    redis: connectRedis(options),
    keys: createKeys(options.prefix),
    scripts: owner === undefined ? scripts : { ...scripts, reserve: ownScript(scripts.reserve, owner) },
    owner: owner ?? '',
    guard: owner === undefined ? undefined : new EpochGuard(),
    report: options.onUndelivered ?? (() => undefined),
  })
}

class RedisLedger implements StoredLedger {
  readonly kind = 'redis'
  readonly store: LedgerStore
  readonly #parts: Parts
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #texts: Scripts
  readonly #scripts: PartScripts
  readonly #reaper: Reaper
  readonly #outbox: Outbox
  readonly #acknowledged = new AcknowledgedRing()
  readonly inspect = () => inspectSetup(this.#redis)
  readonly countNodes = (owner: string) => countNodes(this.#parts, owner)

  constructor(parts: Parts) {
    this.#parts = parts
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#texts = parts.scripts
    this.#scripts = new PartScripts(parts)
    this.#outbox = new Outbox(parts.report)
    this.#reaper = new Reaper(parts)
    this.store = new RedisStore({
      ...parts,
      guard: parts.guard ?? new EpochGuard(),
      acknowledged: this.#acknowledged,
      postings: this.#scripts,
    })
  }

  async reserve(request: ReservationRequest): Promise<ReserveOutcome> {
    assertReservation(request)
    const { guard } = this.#parts
    if (guard === undefined) return this.#reserve(request, '')
    const outcome = await guard.reserving((epoch) => this.#reserve(request, epoch))
    if (outcome.kind === 'held') this.#acknowledged.touch()
    return outcome
  }

  async settle(hold: Hold, actual: readonly number[], options: SettleOptions = {}): Promise<SettleOutcome> {
    const { note = '', force = false } = options
    assertReservationId(hold.id)
    assertSettlement(hold.charges, actual)
    assertNote(note)
    const outcomes = await ofAll(this.#partsOf(hold), (part) => {
      const posting = { actual: ofPart(actual, part), mode: 'settle', note } as const
      return force ? this.#scripts.force(hold, part, posting) : this.#scripts.settle(hold, part, posting)
    })
    const outcome = mergeSettle(outcomes)
    // Also a repeat: then the answer to the first was late.
    if (outcome.kind === 'settled' || outcome.kind === 'already')
      this.#acknowledged.add({ hold, amounts: actual }, performance.now())
    return outcome
  }

  async void(hold: Pick<Hold, 'id' | 'charges' | 'owner'>): Promise<SettleOutcome> {
    assertReservationId(hold.id)
    return mergeSettle(await ofAll(this.#partsOf(hold), (part) => this.#scripts.giveBack(hold, part, 'void')))
  }

  async release(holds: readonly Pick<Hold, 'id' | 'charges'>[]): Promise<void> {
    const { isSlotted } = this.#redis
    await inScripts(this.#homesOf(holds), isSlotted, async (homes) => {
      const records = homes.map(({ home, id }) => this.#keys.record(home, id))
      await this.#redis.evaluate(this.#texts.release, records, [TOMBSTONE_MS])
    })
  }

  async extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]> {
    const lost = await ofShards(this.#homesOf(holds), async (shard, ids) => {
      const reply = await this.#redis.evaluate(this.#texts.extend, [this.#keys.leases(shard)], [leaseMs, ...ids])
      return new Reply(reply).texts()
    })
    return [...new Set(lost)]
  }

  async reassert(hold: Hold, leaseMs: number): Promise<ReassertOutcome> {
    assertHold(hold, leaseMs)
    const outcomes = await ofAll(this.#partsOf(hold), (part) => this.#scripts.reassert(hold, part, leaseMs))
    this.#acknowledged.touch()
    return mergeReassert(outcomes)
  }

  async reap(max: number): Promise<readonly ExpiredHold[]> {
    return this.#reaper.reap(max)
  }

  async balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]> {
    for (const [index, accumulator] of accumulators.entries()) assertAccumulator(`accumulators[${index}]`, accumulator)
    return tellBalances(this.#parts, accumulators)
  }

  budgets(wanted: (key: string) => boolean): AsyncIterable<BudgetPage> {
    return readBudgets(this.#parts, wanted)
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    return this.#reaper.holds(max)
  }

  async expired(owner: string, max: number): Promise<readonly Hold[]> {
    assertOwner(owner)
    return this.#reaper.expired(owner, max)
  }

  async find(id: ReservationId): Promise<Hold | undefined> {
    assertReservationId(id)
    return this.#reaper.find(id)
  }

  async noteOf(id: ReservationId): Promise<string | undefined> {
    assertReservationId(id)
    return this.#reaper.noteOf(id)
  }

  async ping(): Promise<void> {
    // Nothing, written to a key that is not there, changes nothing; but a store that takes no writes refuses it.
    const stores = await this.#redis.stores()
    const pings = stores.map(({ representative }) =>
      this.#redis.readAt(representative, [['SETRANGE', this.#keys.probe(representative), 0, '']]),
    )
    await Promise.all(pings)
  }

  closedFor(): LedgerUnavailable | undefined {
    return this.#parts.guard?.closedFor()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outbox.close()
    await this.#redis[Symbol.asyncDispose]()
  }

  #partsOf({ charges }: Pick<Hold, 'charges'>): readonly Part[] {
    return partsOf(charges, this.#redis.isSlotted)
  }

  #homesOf(holds: readonly Pick<Hold, 'id' | 'charges'>[]): readonly Home[] {
    return holds.flatMap((hold) => this.#partsOf(hold).map(({ home }) => ({ home, id: hold.id })))
  }

  async #reserve(request: ReservationRequest, epoch: string): Promise<ReserveOutcome> {
    const balances = (accumulators: readonly Accumulator[]) => readBalances(this.#parts, accumulators, epoch)
    const tools = { scripts: this.#scripts, outbox: this.#outbox, epoch, balances }
    return reserveWhole(request, this.#partsOf(request), tools)
  }
}
