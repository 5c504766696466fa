/**
 * The ledger in Redis: one script per step and part of a decision. One Redis has one part; on a Cluster there is one for
 * each shard, all at once. Every node of the gateway talks to the same store; Redis's clock is the clock.
 *
 * When one part is refused, the others are given back. Each shard keeps its own limits whatever becomes of the others, so
 * nothing is ever above a limit; a refused call may hold something elsewhere for a round trip, or for a lease when its
 * node dies just then.
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
import { TOMBSTONE_MS } from '../../domain/accumulator-geometry.ts'
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
import { readBalances } from './balances.ts'
import { readBudgets } from './budgets.ts'
import { chunksOf } from './chunks.ts'
import type { RedisCommands } from './client.ts'
import { connectRedis } from './connect.ts'
import type { RedisAccess, RedisPlace } from './connect.ts'
import { createKeys } from './keys.ts'
import type { Keys } from './keys.ts'
import { mergeReassert, mergeSettle } from './merge.ts'
import { Outbox } from './outbox.ts'
import type { ReportUndelivered } from './outbox.ts'
import { PartScripts } from './part-scripts.ts'
import { reserveFit } from './reserve-fit.ts'
import { allOf, mostUncertain, reserveParts } from './reserve-parts.ts'
import { ofPart, partsOf } from './parts.ts'
import type { Part } from './parts.ts'
import { countNodes } from './presence.ts'
import { Reaper } from './reaper.ts'
import { Reply } from './replies.ts'
import { loadScripts } from './scripts.ts'
import { inspectSetup } from './setup.ts'
import type { Scripts } from './scripts.ts'

export type RedisLedgerOptions = RedisPlace &
  RedisAccess & {
    /** First part of every key; separates several ledgers in one Redis. */
    readonly prefix?: string
    /** For tests that turn the clock; otherwise the scripts that lie beside this file. */
    readonly scripts?: Scripts
    /** Told when a part of a refused decision on a Cluster could not be given back: its lease will charge it. */
    readonly onUndelivered?: ReportUndelivered
  }

interface Parts {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
  readonly report: ReportUndelivered
}

/** Ids in one call: bounds the time for which an extension or a release holds up decisions. */
const IDS_PER_CALL = 500

/** Connects in the background: the first call waits for the connection, within its bound. */
export function createRedisLedger(options: RedisLedgerOptions): Ledger {
  return new RedisLedger({
    redis: connectRedis(options),
    keys: createKeys(options.prefix),
    scripts: options.scripts ?? loadScripts(),
    report: options.onUndelivered ?? (() => undefined),
  })
}

class RedisLedger implements Ledger {
  readonly kind = 'redis'
  readonly #parts: Parts
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #texts: Scripts
  readonly #scripts: PartScripts
  readonly #reaper: Reaper
  readonly #outbox: Outbox
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
  }

  async reserve(request: ReservationRequest): Promise<ReserveOutcome> {
    assertReservation(request)
    const parts = partsOf(request.charges, this.#redis.isSlotted)
    const [only, ...others] = parts
    if (only === undefined) throw new RangeError('a decision has at least one part')
    if (others.length === 0) return this.#scripts.reserve(request, only)
    const tools = { scripts: this.#scripts, outbox: this.#outbox }
    const reserve = (asked: ReservationRequest) => reserveParts(asked, parts, tools)
    if (request.fit === undefined) return reserve(request)
    const accumulators = request.charges.map(({ accumulator }) => accumulator)
    return reserveFit(request, request.fit, { look: () => this.balances(accumulators), reserve })
  }

  async settle(hold: Hold, actual: readonly number[], options: SettleOptions = {}): Promise<SettleOutcome> {
    const { note = '', force = false } = options
    assertReservationId(hold.id)
    assertSettlement(hold.charges, actual)
    assertNote(note)
    const outcomes = await this.#ofAll(hold, (part) => {
      const posting = { actual: ofPart(actual, part), mode: 'settle', note } as const
      return force ? this.#scripts.force(hold, part, posting) : this.#scripts.settle(hold, part, posting)
    })
    return mergeSettle(outcomes)
  }

  async void(hold: Pick<Hold, 'id' | 'charges' | 'owner'>): Promise<SettleOutcome> {
    assertReservationId(hold.id)
    return mergeSettle(await this.#ofAll(hold, (part) => this.#scripts.giveBack(hold, part, 'void')))
  }

  async release(holds: readonly Pick<Hold, 'id' | 'charges'>[]): Promise<void> {
    await this.#ofShards(holds, async (shard, ids) => {
      const records = ids.map((id) => this.#keys.record(shard, id))
      await this.#redis.evaluate(this.#texts.release, records, [TOMBSTONE_MS])
      return []
    })
  }

  async extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]> {
    const lost = await this.#ofShards(holds, async (shard, ids) => {
      const reply = await this.#redis.evaluate(this.#texts.extend, [this.#keys.leases(shard)], [leaseMs, ...ids])
      return new Reply(reply).texts()
    })
    return [...new Set(lost)]
  }

  async reassert(hold: Hold, leaseMs: number): Promise<ReassertOutcome> {
    assertHold(hold, leaseMs)
    return mergeReassert(await this.#ofAll(hold, (part) => this.#scripts.reassert(hold, part, leaseMs)))
  }

  async reap(max: number): Promise<readonly ExpiredHold[]> {
    return this.#reaper.reap(max)
  }

  async balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]> {
    for (const [index, accumulator] of accumulators.entries()) assertAccumulator(`accumulators[${index}]`, accumulator)
    return readBalances(this.#parts, accumulators)
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

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#outbox.close()
    await this.#redis[Symbol.asyncDispose]()
  }

  /** Does something with each part. Each is tried, whatever becomes of the others. */
  async #ofAll<Outcome>(
    { charges }: Pick<Hold, 'charges'>,
    run: (part: Part) => Promise<Outcome>,
  ): Promise<readonly Outcome[]> {
    const { answers, errors } = await allOf(partsOf(charges, this.#redis.isSlotted), run)
    if (errors.length > 0) throw mostUncertain(errors)
    return answers
  }

  /** Does something with the ids of each shard, some at a time. */
  async #ofShards<Answer>(
    holds: readonly Pick<Hold, 'id' | 'charges'>[],
    run: (shard: number, ids: readonly ReservationId[]) => Promise<readonly Answer[]>,
  ): Promise<readonly Answer[]> {
    const homes = holds.flatMap(({ id, charges }) =>
      partsOf(charges, this.#redis.isSlotted).map(({ home }) => ({ home, id })),
    )
    const calls = [...Map.groupBy(homes, ({ home }) => home)].flatMap(([shard, group]) =>
      chunksOf(IDS_PER_CALL, group).map((chunk) =>
        run(
          shard,
          chunk.map(({ id }) => id),
        ),
      ),
    )
    return (await Promise.all(calls)).flat()
  }
}
