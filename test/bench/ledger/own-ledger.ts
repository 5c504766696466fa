/** The ledgers of the product, through their port. */
import { runInNewContext } from 'node:vm'
import { setFlagsFromString } from 'node:v8'
import { Redis } from 'ioredis'
import { createMemoryLedger } from '../../../src/adapters/memory/ledger.ts'
import { createRedisLedger } from '../../../src/adapters/redis/ledger.ts'
import type { RedisPlace } from '../../../src/adapters/redis/connection/connect.ts'
import type { Charge } from '../../../src/domain/ledger/accumulator.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { openStore } from '../../support/open-store.ts'
import type { TestCluster } from '../../support/redis-cluster.ts'
import type { Contestant, ContestantName } from './contestant.ts'
import { actualsOf, chargesOf, SIZES } from './mixes.ts'
import type { Size } from './mixes.ts'

/** A gateway keeps the accumulators of its callers at hand; so does the bench, for this many identities. */
const REMEMBERED_MAX = 50_000

const LEASE_MS = 90_000

/** Whose log would account for the decisions. */
const OWNER = 'bench/audit/log'

/** A busy machine may be slow to answer; a bench measures that instead of failing by it. */
const ANSWER_MS_MAX = 10_000

/** Keys looked at by one SCAN. */
const SCAN_COUNT = 1_000

interface Store {
  readonly pids: readonly number[]
  readonly bytes: () => Promise<number>
  readonly apart?: boolean
}

type ClusterUnderTest = Pick<TestCluster, 'nodes' | 'primaries'>

export function memoryContestant(): Contestant {
  const ledger = createMemoryLedger({ clock: { nowMs: () => Date.now() } })
  return contestantOf('memory', ledger, { pids: [], bytes: async () => heapBytes() })
}

export async function redisContestant(server: { readonly url: string; readonly pid: number }): Promise<Contestant> {
  const ledger = await opened({ url: server.url })
  return contestantOf('redis', ledger, { pids: [server.pid], bytes: () => redisBytes(server.url) })
}

/** `apart`: each decision needs two servers of the three. */
export async function clusterContestant(
  cluster: ClusterUnderTest,
  { apart }: { readonly apart: boolean },
): Promise<Contestant> {
  const ledger = await opened({ nodes: cluster.nodes })
  const bytes = async () => {
    const each = await Promise.all(cluster.primaries.map(({ url }) => redisBytes(url)))
    return each.reduce((sum, one) => sum + one, 0)
  }
  const pids = cluster.primaries.map(({ pid }) => pid)
  return contestantOf(apart ? 'cluster-apart' : 'cluster', ledger, { pids, bytes, apart })
}

/** A ledger as a gateway has it: its store is in an epoch, which every step compares. */
async function opened(place: RedisPlace): Promise<Ledger> {
  const ledger = createRedisLedger({ ...place, owner: OWNER, commandTimeoutMs: ANSWER_MS_MAX })
  const { store } = ledger
  if (store === undefined) throw new Error('the ledger has no store to open')
  await openStore(store)
  return ledger
}

function contestantOf(name: ContestantName, ledger: Ledger, store: Store): Contestant {
  const remembered = new Map<string, readonly Charge[]>()
  let serial = 0
  const charges = (size: Size, identity: number, room: boolean) => {
    const key = `${size} ${identity} ${room}`
    const known = remembered.get(key)
    if (known !== undefined) return known
    const made = chargesOf(size, identity, { nowMs: Date.now(), room, apart: store.apart === true })
    if (remembered.size < REMEMBERED_MAX) remembered.set(key, made)
    return made
  }
  const reserve = (size: Size, identity: number, room: boolean) => {
    serial += 1
    return ledger.reserve({
      id: `bench-${process.pid}-${serial}.1`,
      charges: charges(size, identity, room),
      leaseMs: LEASE_MS,
      owner: OWNER,
    })
  }
  return {
    name,
    sizes: SIZES,
    storePids: store.pids,
    bytes: store.bytes,
    async open(size, identity) {
      const outcome = await reserve(size, identity, true)
      if (outcome.kind !== 'held') throw new Error(`${name}: ${JSON.stringify(outcome)}`)
      const { hold } = outcome
      return async () => {
        const settled = await ledger.settle(hold, actualsOf(hold.charges))
        if (settled.kind !== 'settled') throw new Error(`${name}: ${settled.kind}`)
      }
    },
    async refuse(size, identity) {
      const outcome = await reserve(size, identity, false)
      if (outcome.kind !== 'refused') throw new Error(`${name}: ${outcome.kind} where there is no room`)
    },
    [Symbol.asyncDispose]: () => ledger[Symbol.asyncDispose](),
  }
}

function heapBytes(): number {
  setFlagsFromString('--expose-gc')
  const collect: unknown = runInNewContext('gc')
  if (typeof collect === 'function') collect()
  return process.memoryUsage().heapUsed
}

async function redisBytes(url: string): Promise<number> {
  const client = new Redis(url)
  try {
    // Bounded by the keyspace: SCAN ends when its cursor is back at the start.
    for (let cursor = '0', first = true; first || cursor !== '0'; first = false) {
      const [next, keys] = await client.scan(cursor, 'MATCH', '*:R:*', 'COUNT', SCAN_COUNT)
      // One command a key: those of a Cluster's shards must not stand together.
      await Promise.all(keys.map((key) => client.del(key)))
      cursor = next
    }
    const info = await client.info('memory')
    return Number(/^used_memory:(\d+)/m.exec(info)?.[1])
  } finally {
    client.disconnect()
  }
}
