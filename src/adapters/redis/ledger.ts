/**
 * The ledger in Redis: one script per step, all accumulators of a decision in one call whatever their shards, since one
 * Redis has no slots to keep apart. Every node of the gateway talks to the same one; Redis's clock is the clock.
 */
import type { Accumulator, AccumulatorState } from '../../domain/accumulator.ts'
import {
  assertAccumulator,
  assertHold,
  assertNote,
  assertOwner,
  assertReservation,
  assertReservationId,
  assertSettlement,
} from '../../domain/accumulator-check.ts'
import { IDLE_COUNTER_MS, NOTE_KEPT_MS, TOMBSTONE_MS } from '../../domain/accumulator-geometry.ts'
import type { Charge } from '../../domain/accumulator.ts'
import { LEASE_MS } from '../../domain/reservation.ts'
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
} from '../../domain/reservation.ts'
import type { Ledger, SettleOptions } from '../../ports/ledger.ts'
import { readBudgets } from './budgets.ts'
import { chunksOf } from './chunks.ts'
import { connectRedis } from './client.ts'
import type { RedisCommands } from './client.ts'
import { createKeys, homeShard } from './keys.ts'
import type { Keys } from './keys.ts'
import { toReassertOutcome, toReserveOutcome, toSettleOutcome } from './outcomes.ts'
import { writePlan, writeReasserted } from './plan.ts'
import { countNodes } from './presence.ts'
import { Reaper } from './reaper.ts'
import { Reply } from './replies.ts'
import {
  balancesArguments,
  reassertArguments,
  reassertedParts,
  reserveArguments,
  settleArguments,
} from './script-arguments.ts'
import { loadScripts } from './scripts.ts'
import { inspectSetup } from './setup.ts'
import type { Scripts } from './scripts.ts'

export interface RedisLedgerOptions {
  /** `redis://` or `rediss://`. */
  readonly url: string
  /** Bound of one command. */
  readonly commandTimeoutMs?: number
  /** First part of every key; separates several ledgers in one Redis. */
  readonly prefix?: string
  /** For tests that turn the clock; otherwise the scripts that lie beside this file. */
  readonly scripts?: Scripts
}

/** Ids in one call: bounds the time for which an extension or a release holds up decisions. */
const IDS_PER_CALL = 500

/** Accumulators in one read: bounds the time for which a report holds up decisions. */
const ACCUMULATORS_PER_READ = 100

/** Connects in the background: the first call waits for the connection, within its bound. */
export function createRedisLedger(options: RedisLedgerOptions): Ledger {
  const keys = createKeys(options.prefix)
  return new RedisLedger({ redis: connectRedis(options), keys, scripts: options.scripts ?? loadScripts() })
}

class RedisLedger implements Ledger {
  readonly kind = 'redis'
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts
  readonly #reaper: Reaper
  readonly inspect = () => inspectSetup(this.#redis)
  readonly countNodes: (owner: string) => Promise<number>

  constructor(parts: { readonly redis: RedisCommands; readonly keys: Keys; readonly scripts: Scripts }) {
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
    this.#reaper = new Reaper(parts)
    this.countNodes = (owner) => countNodes(parts, owner)
  }

  async reserve(request: ReservationRequest): Promise<ReserveOutcome> {
    assertReservation(request)
    const { id, charges, leaseMs } = request
    const home = homeShard(charges)
    const reply = await this.#redis.evaluate(
      this.#scripts.reserve,
      [this.#keys.record(home, id), this.#keys.leases(home), ...this.#accumulatorKeys(charges)],
      [id, leaseMs, writePlan(request), ...reserveArguments(charges)],
    )
    return toReserveOutcome(request, new Reply(reply))
  }

  async settle(hold: Hold, actual: readonly number[], options: SettleOptions = {}): Promise<SettleOutcome> {
    const { note = '', force = false } = options
    assertReservationId(hold.id)
    assertSettlement(hold.charges, actual)
    assertNote(note)
    const settle = () => this.#settle(hold, { actual, mode: 'settle', note })
    const outcome = await settle()
    if (outcome.kind !== 'unknown' || !force) return outcome
    await this.reassert(hold, LEASE_MS)
    const forced = await settle()
    return forced.kind === 'settled' ? { ...forced, before: 'unknown' } : forced
  }

  async void(hold: Pick<Hold, 'id' | 'charges' | 'owner'>): Promise<SettleOutcome> {
    assertReservationId(hold.id)
    const nothing = hold.charges.map(() => 0)
    return this.#settle(hold, { actual: nothing, mode: 'void', note: '' })
  }

  async release(holds: readonly Pick<Hold, 'id' | 'charges'>[]): Promise<void> {
    const byShard = Map.groupBy(holds, ({ charges }) => homeShard(charges))
    const calls = [...byShard].flatMap(([shard, group]) =>
      chunksOf(IDS_PER_CALL, group).map((chunk) => {
        const records = chunk.map(({ id }) => this.#keys.record(shard, id))
        return this.#redis.evaluate(this.#scripts.release, records, [TOMBSTONE_MS])
      }),
    )
    await Promise.all(calls)
  }

  async extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]> {
    const byShard = Map.groupBy(holds, ({ charges }) => homeShard(charges))
    const calls = [...byShard].flatMap(([shard, group]) =>
      chunksOf(IDS_PER_CALL, group).map(async (chunk) => {
        const args = [leaseMs, ...chunk.map(({ id }) => id)]
        const reply = await this.#redis.evaluate(this.#scripts.extend, [this.#keys.leases(shard)], args)
        return new Reply(reply).texts()
      }),
    )
    return (await Promise.all(calls)).flat()
  }

  async reassert(hold: Hold, leaseMs: number): Promise<ReassertOutcome> {
    assertHold(hold, leaseMs)
    const home = homeShard(hold.charges)
    const parts = reassertedParts(hold)
    const keys = this.#accumulatorKeys(parts.map(({ charge }) => charge))
    const reply = await this.#redis.evaluate(
      this.#scripts.reassert,
      [this.#keys.record(home, hold.id), this.#keys.leases(home), ...keys],
      [hold.id, leaseMs, writeReasserted(hold), ...reassertArguments(parts)],
    )
    return toReassertOutcome(new Reply(reply))
  }

  async reap(max: number): Promise<readonly ExpiredHold[]> {
    return this.#reaper.reap(max)
  }

  async balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]> {
    for (const [index, accumulator] of accumulators.entries()) assertAccumulator(`accumulators[${index}]`, accumulator)
    const calls = chunksOf(ACCUMULATORS_PER_READ, accumulators).map(async (chunk) => {
      const keys = chunk.map((accumulator) => this.#keys.accumulator(accumulator))
      const reply = await this.#redis.evaluate(this.#scripts.balances, keys, balancesArguments(chunk))
      return new Reply(reply).states()
    })
    return (await Promise.all(calls)).flat()
  }

  budgets(wanted: (key: string) => boolean): AsyncIterable<BudgetPage> {
    return readBudgets({ redis: this.#redis, keys: this.#keys, scripts: this.#scripts }, wanted)
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
    await this.#redis.read([['SETRANGE', this.#keys.probe, 0, '']])
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#redis[Symbol.asyncDispose]()
  }

  async #settle(
    { id, charges, owner }: Pick<Hold, 'id' | 'charges' | 'owner'>,
    { actual, mode, note }: { actual: readonly number[]; mode: 'settle' | 'void'; note: string },
  ): Promise<SettleOutcome> {
    const home = homeShard(charges)
    const reply = await this.#redis.evaluate(
      this.#scripts.settle,
      [
        this.#keys.record(home, id),
        this.#keys.leases(home),
        this.#keys.expired(home, owner),
        ...this.#accumulatorKeys(charges),
      ],
      [id, note === '' ? TOMBSTONE_MS : NOTE_KEPT_MS, mode, IDLE_COUNTER_MS, note, ...settleArguments(charges, actual)],
    )
    return toSettleOutcome(new Reply(reply))
  }

  #accumulatorKeys(charges: readonly Charge[]): readonly string[] {
    return charges.map(({ accumulator }) => this.#keys.accumulator(accumulator))
  }
}
