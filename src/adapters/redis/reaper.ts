/**
 * Holds by their leases: which are open, which have run out, and charging the latter in full.
 *
 * The index names the shards in which something may be due. It is a hint: a full look at all shards, on the first call
 * and then once a minute, enters shards that it lacks (after a restored backup, or a move from a Cluster).
 */
import { EXPIRED_KEPT_MS, IDLE_COUNTER_MS } from '../../domain/accumulator-geometry.ts'
import type { ExpiredHold, Hold, OpenHold, ReservationId } from '../../domain/reservation.ts'
import type { RedisCommands } from './client.ts'
import { ALL_SHARDS, parseShardName, shardName } from './keys.ts'
import type { Keys } from './keys.ts'
import { readRecord } from './plan.ts'
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

  async reap(max: number): Promise<readonly ExpiredHold[]> {
    if (performance.now() >= this.#nextFullLookMs) await this.#enterMissingShards()
    const expired: ExpiredHold[] = []
    for (const shard of await this.#dueShards()) {
      if (expired.length >= max) break
      for (const hold of await this.#dueHolds(shard, max - expired.length)) {
        if (await this.#expire(shard, hold)) expired.push(listed(hold))
      }
    }
    return expired
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    const leases = (await this.#leases(max)).toSorted(byLease).slice(0, max)
    const records = await this.#redis.read(leases.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
    return leases.flatMap(({ id, untilMs }, index) => {
      // A hold may have been settled between the two reads.
      const record = records[index]
      const hold = typeof record === 'string' ? readRecord(id, record) : undefined
      return hold ? [{ ...listed(hold), atUs: hold.atUs, leaseUntilMs: untilMs }] : []
    })
  }

  /** Only the id is known: the record can be in any shard, and one MGET asks them all. */
  async find(id: ReservationId): Promise<Hold | undefined> {
    const [reply] = await this.#redis.read([['MGET', ...ALL_SHARDS.map((shard) => this.#keys.record(shard, id))]])
    const record = Array.isArray(reply) ? reply.find((value) => typeof value === 'string') : undefined
    return typeof record === 'string' ? readRecord(id, record) : undefined
  }

  async #dueShards(): Promise<readonly number[]> {
    const reply = await this.#redis.evaluate(this.#scripts.dueShards, [this.#keys.index], [SHARDS_PER_REAP])
    return new Reply(reply).texts().map(parseShardName)
  }

  async #dueHolds(shard: number, max: number): Promise<readonly Hold[]> {
    const ids = await this.#putRight(shard, max)
    const records = await this.#redis.read(ids.map((id) => ['GET', this.#keys.record(shard, id)]))
    return ids.map((id, index) => {
      const record = records[index]
      const hold = typeof record === 'string' ? readRecord(id, record) : undefined
      // Without a live record only the lease is left over; expiring it with no charges removes it.
      return hold ?? { id, charges: [], atUs: 0, marks: [] }
    })
  }

  async #expire(shard: number, hold: Hold): Promise<boolean> {
    const counters = hold.charges.filter(isCounter)
    const reply = await this.#redis.evaluate(
      this.#scripts.expire,
      [
        this.#keys.record(shard, hold.id),
        this.#keys.leases(shard),
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

  async #enterMissingShards(): Promise<void> {
    const shards = new Set((await this.#leases(1)).map(({ shard }) => shard))
    for (const shard of shards) await this.#putRight(shard, 0)
    this.#nextFullLookMs = performance.now() + FULL_LOOK_MS
  }

  /** The oldest leases of each shard, at most `perShard` of each. */
  async #leases(perShard: number): Promise<readonly Lease[]> {
    const replies = await this.#redis.read(
      ALL_SHARDS.map((shard) => ['ZRANGE', this.#keys.leases(shard), 0, perShard - 1, 'WITHSCORES']),
    )
    return replies.flatMap((reply, shard) => toLeases(shard, new Reply(reply).texts()))
  }
}

function toLeases(shard: number, idsAndScores: readonly string[]): readonly Lease[] {
  return idsAndScores.flatMap((id, index) =>
    index % 2 === 0 ? [{ shard, id, untilMs: Number(idsAndScores[index + 1]) }] : [],
  )
}

function byLease(left: Lease, right: Lease): number {
  if (left.untilMs !== right.untilMs) return left.untilMs - right.untilMs
  return left.id < right.id ? -1 : 1
}

function listed(hold: Hold): ExpiredHold {
  return { id: hold.id, charges: hold.charges.map(({ accumulator, amount }) => ({ key: accumulator.key, amount })) }
}
