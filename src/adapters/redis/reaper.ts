/**
 * Holds by their leases: which are open, which have run out, and charging the latter in full.
 *
 * Every shard has its own leases, because a Cluster keeps shards on different servers. One walk asks them all, many in one
 * command where one server has many.
 */
import { EXPIRED_KEPT_MS, IDLE_COUNTER_MS } from '../../domain/ledger/accumulator-geometry.ts'
import type { ExpiredHold, Hold, OpenHold, ReservationId } from '../../domain/ledger/reservation.ts'
import { chunksOf } from './chunks.ts'
import type { RedisCommands } from './connection/client.ts'
import type { EpochGuard } from './epoch/epoch-guard.ts'
import { ALL_SHARDS } from './keys.ts'
import type { Keys } from './keys.ts'
import { joinParts } from './parts/parts.ts'
import type { HeldPart } from './parts/parts.ts'
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
  /** Undefined: the epoch is not looked at. */
  readonly guard: EpochGuard | undefined
}

export class Reaper {
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts
  readonly #guard: EpochGuard | undefined

  constructor(parts: Parts) {
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
    this.#guard = parts.guard
  }

  /**
   * An unreadable record is left alone, since nobody knows what it charged. It is told when nothing else is to be told:
   * the holds that did expire must reach the caller.
   */
  async reap(max: number): Promise<readonly ExpiredHold[]> {
    // A store that is being rebuilt keeps its holds: their calls cannot settle yet.
    if (this.#guard?.isOpen === false) return []
    const due = (await this.#due()).slice(0, max)
    const reads = (await this.#records(due)).map((record, index) => toDueHold(due[index], record))
    const expired: HeldPart[] = []
    for (const read of reads) {
      if (read.kind === 'read' && (await this.#expire(read.shard, read.held.hold))) expired.push(read.held)
    }
    const unreadable = reads.find((read) => read.kind === 'unreadable')
    if (expired.length === 0 && unreadable !== undefined) throw unreadable.error
    return joinById(expired).map(listed)
  }

  async holds(max: number): Promise<readonly OpenHold[]> {
    const leases = await this.#members((shard) => this.#keys.leases(shard), max)
    const untilMs = new Map(leases.toReversed().map((lease) => [lease.id, lease.untilMs]))
    const open = joinById(toHeld(leases, await this.#records(leases)))
    return open.map((hold) => ({
      ...listed(hold),
      owner: hold.owner,
      atUs: hold.atUs,
      leaseUntilMs: untilMs.get(hold.id) ?? 0,
    }))
  }

  async expired(owner: string, max: number): Promise<readonly Hold[]> {
    const oldest = await this.#members((shard) => this.#keys.expired(shard, owner), max)
    return joinById(toHeld(oldest, await this.#records(oldest)))
  }

  async find(id: ReservationId): Promise<Hold | undefined> {
    return joinParts((await this.#recordsOf(id)).flatMap((record) => readRecord(id, record) ?? []))
  }

  async noteOf(id: ReservationId): Promise<string | undefined> {
    return (await this.#recordsOf(id)).map(readNote).find((note) => note !== undefined)
  }

  /** Only the id is known: its records can be in any shard. One Redis answers for all in one command. */
  async #recordsOf(id: ReservationId): Promise<readonly string[]> {
    const keys = ALL_SHARDS.map((shard) => this.#keys.record(shard, id))
    const replies = await this.#redis.read(
      this.#redis.isSlotted ? keys.map((key) => ['GET', key]) : [['MGET', ...keys]],
    )
    return replies.flat().filter((record) => typeof record === 'string')
  }

  async #records(holds: readonly Due[]): Promise<readonly unknown[]> {
    return this.#redis.read(holds.map(({ shard, id }) => ['GET', this.#keys.record(shard, id)]))
  }

  /** Every overdue hold, as far as one look takes them. */
  async #due(): Promise<readonly Due[]> {
    const groups = this.#redis.isSlotted ? await this.#shardsWithLeases() : chunksOf(SHARDS_PER_LOOK, ALL_SHARDS)
    const looks = groups.map(async (shards) => {
      const leases = shards.map((shard) => this.#keys.leases(shard))
      const reply = await this.#redis.evaluate(this.#scripts.due, leases, [DUE_PER_SHARD])
      return toDue(shards, new Reply(reply))
    })
    return (await Promise.all(looks)).flat()
  }

  /** On a Cluster a script sees one shard, and most shards have no leases: a plain read finds those that have. */
  async #shardsWithLeases(): Promise<readonly (readonly number[])[]> {
    const first = await this.#members((shard) => this.#keys.leases(shard), 1, ALL_SHARDS.length)
    return first.map(({ shard }) => [shard])
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
        this.#keys.epoch(shard),
      ],
      [
        hold.id,
        EXPIRED_KEPT_MS,
        IDLE_COUNTER_MS,
        ...expireArguments(counters),
        this.#guard?.isOpen === true ? this.#guard.epochToPost() : '',
      ],
    )
    return reply === 'expired'
  }

  /** The first members of a sorted set of each shard, at most `perShard` of each and `max` in all, lowest score first. */
  async #members(keyOf: (shard: number) => string, perShard: number, max = perShard): Promise<readonly Lease[]> {
    const commands = ALL_SHARDS.map((shard) => ['ZRANGE', keyOf(shard), 0, perShard - 1, 'WITHSCORES'] as const)
    const replies = await this.#redis.read(commands)
    const members = replies.flatMap((reply, shard) => toLeases(shard, new Reply(reply).texts()))
    return members.toSorted(byLease).slice(0, max)
  }
}

interface Due {
  readonly shard: number
  readonly id: ReservationId
}

function toDue(shards: readonly number[], reply: Reply): readonly Due[] {
  return reply.pairs().map(({ position, text }) => ({ shard: shards[position] ?? 0, id: text }))
}

type DueHold =
  | { readonly kind: 'read'; readonly shard: number; readonly held: HeldPart }
  | { readonly kind: 'unreadable'; readonly error: unknown }

function toDueHold(due: Due | undefined, record: unknown): DueHold {
  const { shard, id } = due ?? { shard: 0, id: '' }
  // Without a live record only the lease is left over: expiring it with no charges removes it.
  const nothing = { hold: { id, charges: [], atUs: 0, marks: [], owner: '' }, part: {} }
  try {
    const held = (typeof record === 'string' ? readRecord(id, record) : undefined) ?? nothing
    return { kind: 'read', shard, held }
  } catch (error) {
    return { kind: 'unreadable', error }
  }
}

/** A hold may have been settled between the two reads, and a record lives no longer than it can be corrected. */
function toHeld(holds: readonly Due[], records: readonly unknown[]): readonly HeldPart[] {
  return holds.flatMap(({ id }, index) => {
    const record = records[index]
    return (typeof record === 'string' ? readRecord(id, record) : undefined) ?? []
  })
}

/** Whole holds out of their parts, in the order of their first. */
function joinById(held: readonly HeldPart[]): readonly Hold[] {
  return [...Map.groupBy(held, ({ hold }) => hold.id).values()].flatMap((parts) => joinParts(parts) ?? [])
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
