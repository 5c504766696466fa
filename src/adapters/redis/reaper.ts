/**
 * Holds by their leases: which are open, which have run out, and charging the latter in full.
 *
 * Every shard has its own leases, because a Cluster keeps shards on different servers. One walk asks them all, many in one
 * command where one server has many.
 */
import { EXPIRED_KEPT_MS, IDLE_COUNTER_MS } from '../../domain/accumulator-geometry.ts'
import type { ExpiredHold, Hold, OpenHold, ReservationId } from '../../domain/reservation.ts'
import { chunksOf } from './chunks.ts'
import type { RedisCommands } from './client.ts'
import { ALL_SHARDS } from './keys.ts'
import type { Keys } from './keys.ts'
import { readNote, readRecord } from './plan.ts'
import { Reply } from './replies.ts'
import { expireArguments, isCounter } from './script-arguments.ts'
import type { Scripts } from './scripts.ts'

/** Shards in one command: 1,024 are asked in eight, each of which holds up decisions for some 100 microseconds. */
const SHARDS_PER_LOOK = 128

/** Overdue holds that one look takes from one shard, so that a crowded shard does not hide the others. */
const DUE_PER_SHARD = 100

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
    const expired: ExpiredHold[] = []
    const unreadable: unknown[] = []
    const due = (await this.#due()).slice(0, max)
    const records = await this.#redis.read(due.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
    for (const [index, { shard, id }] of due.entries()) {
      const read = toDueHold(id, records[index])
      if (read.kind === 'unreadable') unreadable.push(read.error)
      else if (await this.#expire(shard, read.hold)) expired.push(listed(read.hold))
    }
    if (expired.length === 0 && unreadable.length > 0) throw unreadable[0]
    return expired
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    const leases = (await this.#members(ALL_SHARDS, (shard) => this.#keys.leases(shard), max))
      .toSorted(byLease)
      .slice(0, max)
    const records = await this.#redis.read(leases.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
    return leases.flatMap(({ id, untilMs }, index) => {
      // A hold may have been settled between the two reads.
      const record = records[index]
      const hold = typeof record === 'string' ? readRecord(id, record) : undefined
      return hold ? [{ ...listed(hold), owner: hold.owner, atUs: hold.atUs, leaseUntilMs: untilMs }] : []
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

  /** Every overdue hold, as far as one look takes them. */
  async #due(): Promise<readonly Due[]> {
    const looks = chunksOf(SHARDS_PER_LOOK, ALL_SHARDS).map(async (shards) => {
      const leases = shards.map((shard) => this.#keys.leases(shard))
      const reply = await this.#redis.evaluate(this.#scripts.due, leases, [DUE_PER_SHARD])
      return toDue(shards, new Reply(reply))
    })
    return (await Promise.all(looks)).flat()
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

  /** The first members of a sorted set of each of these shards, at most `perShard` of each. */
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

interface Due {
  readonly shard: number
  readonly id: ReservationId
}

function toDue(shards: readonly number[], reply: Reply): readonly Due[] {
  return reply.pairs().map(({ position, text }) => ({ shard: shards[position] ?? 0, id: text }))
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
