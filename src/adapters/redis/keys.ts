/**
 * Names of all keys. Each carries the hash tag of a virtual shard, so that one Redis and Redis Cluster use the same keys
 * and an installation can grow from one to the other without renaming anything.
 */
import type { Accumulator } from '../../domain/ledger/accumulator.ts'
import { SHARDS } from '../../domain/ledger/accumulator-check.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { Charge } from '../../domain/ledger/accumulator.ts'

export interface Keys {
  accumulator(accumulator: Accumulator): string
  /** One reservation: `R`, `X` or `S`, then instant, marks and plan. */
  record(shard: number, id: string): string
  /** Open holds of a shard by the end of their lease. */
  leases(shard: number): string
  /** Expired holds of one owner that nobody has settled, by the instant at which they expired. */
  expired(shard: number, owner: string): string
  /** Matches the names of all budgets. */
  readonly budgets: string
  /** The key that a budget's name was made of. */
  budgetKey(name: string): string
  /** When each node was last here. */
  readonly nodes: string
  /** Never there: what asks whether the store takes writes. */
  probe(shard: number): string
  /** An accumulator by its name. */
  named(shard: number, name: string): string
  /** Id of the epoch that a shard is in, with `~` before it while the store is being rebuilt; absent when it lost all. */
  epoch(shard: number): string
  /** Which parts of which logs a shard was told in this epoch. */
  told(shard: number): string
  /** The rebuild that began this epoch: who told what it knows, and who is waited for. */
  readonly rebuild: string
  /** Lets one gateway at a time empty the store. */
  readonly lock: string
  /** Marks of the gateways on the server that has this shard. */
  stamps(shard: number): string
  /** Matches everything in all shards. */
  readonly all: string
}

/** Every shard there is. */
export const ALL_SHARDS: readonly number[] = Array.from({ length: SHARDS }, (_, shard) => shard)

/** The shard whose epoch speaks for all: the last to be opened. */
export const FIRST_SHARD = 0

const PREFIX = /^[A-Za-z0-9_.-]{1,32}$/

/** `prefix` separates several gateways' ledgers in one Redis. */
export function createKeys(prefix = 'L'): Keys {
  if (!PREFIX.test(prefix)) throw new RangeError(`ledger prefix: must be 1 to 32 of A-Z a-z 0-9 _ . -, not ${prefix}`)
  const tagged = (shard: number, rest: string) => `${prefix}:${tagOf(shard)}:${rest}`
  return {
    accumulator: (accumulator) => tagged(accumulator.shard, accumulatorName(accumulator)),
    record: (shard, id) => tagged(shard, `R:${id}`),
    leases: (shard) => tagged(shard, 'Z'),
    expired: (shard, owner) => tagged(shard, `X:${owner}`),
    budgets: `${prefix}:{v*}:b:*`,
    budgetKey: (name) => name.slice(name.indexOf('}:b:') + '}:b:'.length),
    nodes: tagged(0, 'nodes'),
    probe: (shard) => tagged(shard, 'probe'),
    named: tagged,
    epoch: (shard) => tagged(shard, 'E'),
    told: (shard) => tagged(shard, 'C'),
    rebuild: tagged(FIRST_SHARD, 'J'),
    lock: tagged(FIRST_SHARD, 'W'),
    stamps: (shard) => tagged(shard, 'N'),
    all: `${prefix}:{v*}:*`,
  }
}

/** What keeps the keys of one shard in one slot of a Cluster. */
export function tagOf(shard: number): string {
  return `{v${shard.toString(36)}}`
}

/** The shard that keeps a reservation's record and lease: that of its first charge, so one script sees them together. */
export function homeShard(charges: readonly Charge[]): number {
  return charges[0]?.accumulator.shard ?? 0
}
