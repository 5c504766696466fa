/**
 * Holds by their leases: which are open, which have run out, and charging the latter in full.
 *
 * The index names the shards that have leases, and when the first of each may be due. It is a hint: a full look at all
 * shards, on the first call and then once a minute, enters shards that it lacks (after a restored backup, or a move from
 * a Cluster). So one call asks a few shards and not 1,024, and a lost index delays an expiry by a minute at most.
 */
import { EXPIRED_KEPT_MS, IDLE_COUNTER_MS } from '../../domain/accumulator-geometry.ts'
import type { ExpiredHold, Hold, OpenHold, ReservationId } from '../../domain/reservation.ts'
import type { RedisCommands } from './client.ts'
import { ALL_SHARDS, parseShardName, shardName } from './keys.ts'
import type { Keys } from './keys.ts'
import { readNote, readRecord } from './plan.ts'
import { Reply } from './replies.ts'
import { expireArguments, isCounter } from './script-arguments.ts'
import type { Scripts } from './scripts.ts'

/** Shards that one call looks into: a call stays short, and what is left is still due at the next. */
const SHARDS_PER_REAP = 64

/** Time between two looks at all shards: bounds how late an expiry can be when the index was lost. */
const FULL_LOOK_MS = 60_000

interface Lease {
  readonly shard: number
  readonly id: ReservationId
  readonly untilMs: number
}

interface Parts {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
}

export class Reaper {
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts
  #nextFullLookMs = 0

  constructor(parts: Parts) {
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
  }

  /**
   * An unreadable record is left alone, since nobody knows what it charged. It is told when nothing else is to be told:
   * the holds that did expire must reach the caller.
   */
  async reap(max: number): Promise<readonly ExpiredHold[]> {
    await this.#enterMissingShards()
    const expired: ExpiredHold[] = []
    const unreadable: unknown[] = []
    for (const shard of await this.#dueShards()) {
      if (expired.length >= max) break
      for (const read of await this.#dueHolds(shard, max - expired.length)) {
        if (read.kind === 'unreadable') unreadable.push(read.error)
        else if (await this.#expire(shard, read.hold)) expired.push(listed(read.hold))
      }
    }
    if (expired.length === 0 && unreadable.length > 0) throw unreadable[0]
    return expired
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    await this.#enterMissingShards()
    const leases = (await this.#leases([...(await this.#index()).keys()], max)).toSorted(byLease).slice(0, max)
    const records = await this.#redis.read(leases.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
    return leases.flatMap(({ id, untilMs }, index) => {
      // A hold may have been settled between the two reads.
      const record = records[index]
      const hold = typeof record === 'string' ? readRecord(id, record) : undefined
      return hold ? [{ ...listed(hold), atUs: hold.atUs, leaseUntilMs: untilMs }] : []
    })
  }

  async expired(owner: string, max: number): Promise<readonly Hold[]> {
    const key = (shard: number) => this.#keys.expired(shard, owner)
    const oldest = (await this.#members(ALL_SHARDS, key, max)).toSorted(byLease).slice(0, max)
    const records = await this.#redis.read(oldest.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
    return oldest.flatMap(({ id }, index) => {
      // A hold may have been settled between the two reads, and a record lives no longer than it can be corrected.
      const record = records[index]
      return (typeof record === 'string' ? readRecord(id, record) : undefined) ?? []
    })
  }

  async find(id: ReservationId): Promise<Hold | undefined> {
    const record = await this.#record(id)
    return record === undefined ? undefined : readRecord(id, record)
  }

  async noteOf(id: ReservationId): Promise<string | undefined> {
    const record = await this.#record(id)
    return record === undefined ? undefined : readNote(record)
  }

  /** Only the id is known: the record can be in any shard, and one MGET asks them all. */
  async #record(id: ReservationId): Promise<string | undefined> {
    const [reply] = await this.#redis.read([['MGET', ...ALL_SHARDS.map((shard) => this.#keys.record(shard, id))]])
    const record: unknown = Array.isArray(reply) ? reply.find((value) => typeof value === 'string') : undefined
    return typeof record === 'string' ? record : undefined
  }

  async #dueShards(): Promise<readonly number[]> {
    const reply = await this.#redis.evaluate(this.#scripts.dueShards, [this.#keys.index], [SHARDS_PER_REAP])
    return new Reply(reply).texts().map(parseShardName)
  }

  async #dueHolds(shard: number, max: number): Promise<readonly DueHold[]> {
    const ids = await this.#putRight(shard, max)
    const records = await this.#redis.read(ids.map((id) => ['GET', this.#keys.record(shard, id)]))
    return ids.map((id, index) => toDueHold(id, records[index]))
  }

  async #expire(shard: number, hold: Hold): Promise<boolean> {
    const counters = hold.charges.filter(isCounter)
    const reply = await this.#redis.evaluate(
      this.#scripts.expire,
      [
        this.#keys.record(shard, hold.id),
        this.#keys.leases(shard),
        this.#keys.expired(shard, hold.owner),
        ...counters.map(({ accumulator }) => this.#keys.accumulator(accumulator)),
      ],
      [hold.id, EXPIRED_KEPT_MS, IDLE_COUNTER_MS, ...expireArguments(counters)],
    )
    return reply === 'expired'
  }

  /** Names overdue holds of a shard and corrects the shard's entry in the index. */
  async #putRight(shard: number, max: number): Promise<readonly ReservationId[]> {
    const keys = [this.#keys.leases(shard), this.#keys.index]
    return new Reply(await this.#redis.evaluate(this.#scripts.dueLeases, keys, [shardName(shard), max])).texts()
  }

  /** Shards that have leases, each with the instant before which none can have run out. */
  async #index(): Promise<ReadonlyMap<number, number>> {
    const [reply] = await this.#redis.read([['ZRANGE', this.#keys.index, 0, -1, 'WITHSCORES']])
    return new Map(toPairs(new Reply(reply).texts()).map(([name, untilMs]) => [parseShardName(name), untilMs]))
  }

  /** Once in {@link FULL_LOOK_MS}; reads all shards and writes only for those that the index lacks or names too late. */
  async #enterMissingShards(): Promise<void> {
    if (performance.now() < this.#nextFullLookMs) return
    const [leases, index] = await Promise.all([this.#leases(ALL_SHARDS, 1), this.#index()])
    const missing = leases.filter(({ shard, untilMs }) => (index.get(shard) ?? Infinity) > untilMs)
    await Promise.all(missing.map(({ shard }) => this.#putRight(shard, 0)))
    this.#nextFullLookMs = performance.now() + FULL_LOOK_MS
  }

  /** The oldest leases of each of these shards, at most `perShard` of each. */
  async #leases(shards: readonly number[], perShard: number): Promise<readonly Lease[]> {
    return this.#members(shards, (shard) => this.#keys.leases(shard), perShard)
  }

  async #members(
    shards: readonly number[],
    keyOf: (shard: number) => string,
    perShard: number,
  ): Promise<readonly Lease[]> {
    const replies = await this.#redis.read(
      shards.map((shard) => ['ZRANGE', keyOf(shard), 0, perShard - 1, 'WITHSCORES']),
    )
    return replies.flatMap((reply, index) => toLeases(shards[index] ?? 0, new Reply(reply).texts()))
  }
}

type DueHold = { readonly kind: 'read'; readonly hold: Hold } | { readonly kind: 'unreadable'; readonly error: unknown }

function toDueHold(id: ReservationId, record: unknown): DueHold {
  // Without a live record only the lease is left over: expiring it with no charges removes it.
  const nothing = { id, charges: [], atUs: 0, marks: [], owner: '' }
  try {
    return { kind: 'read', hold: (typeof record === 'string' ? readRecord(id, record) : undefined) ?? nothing }
  } catch (error) {
    return { kind: 'unreadable', error }
  }
}

function toLeases(shard: number, idsAndScores: readonly string[]): readonly Lease[] {
  return toPairs(idsAndScores).map(([id, untilMs]) => ({ shard, id, untilMs }))
}

/** Members of a sorted set with their scores, which Redis answers in one flat list. */
function toPairs(membersAndScores: readonly string[]): readonly (readonly [member: string, score: number])[] {
  return membersAndScores.flatMap((member, index) =>
    index % 2 === 0 ? [[member, Number(membersAndScores[index + 1])] as const] : [],
  )
}

function byLease(left: Lease, right: Lease): number {
  if (left.untilMs !== right.untilMs) return left.untilMs - right.untilMs
  return left.id < right.id ? -1 : 1
}

function listed(hold: Hold): ExpiredHold {
  return { id: hold.id, charges: hold.charges.map(({ accumulator, amount }) => ({ key: accumulator.key, amount })) }
}
