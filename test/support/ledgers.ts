/**
 * Ledgers whose clock a test turns.
 */
import { Redis } from 'ioredis'

import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import type { MemoryLedger } from '../../src/adapters/memory/ledger.ts'
import { createRedisLedger } from '../../src/adapters/redis/ledger.ts'
import type { RedisPlace } from '../../src/adapters/redis/connection/connect.ts'
import { ALL_SHARDS, tagOf } from '../../src/adapters/redis/keys.ts'
import { loadScripts, readPiece } from '../../src/adapters/redis/scripts.ts'
import type { ReadPiece } from '../../src/adapters/redis/scripts.ts'
import { slotOf } from '../../src/adapters/redis/connection/slot.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { openStore } from './open-store.ts'
import { primaryOf, startRedisCluster } from './redis-cluster.ts'
import type { TestCluster } from './redis-cluster.ts'
import { startRedis } from './redis-server.ts'

/** Ahead of every real clock, so that Redis itself expires nothing: the test does, by its own clock. */
const START_MS = Date.UTC(2090, 0, 1)

/**
 * Where the scripts of a test read the time: one key in each shard, because a script on a Cluster sees one. A name of its
 * own, so that nothing which looks for keys of the ledger finds it.
 */
const clockKey = (shard: number) => `test:${tagOf(shard)}:clock`

const CLOCK_LINE = "local time = redis.call('TIME')"

/** The last key is of the shard that the script posts to, whatever kind it is; without keys it only looks at its epoch. */
const VIRTUAL_CLOCK = `
local of = KEYS[#KEYS] and string.match(KEYS[#KEYS], '{[^}]+}')
local ms = of and tonumber(redis.call('GET', 'test:' .. of .. ':clock')) or 0
local time = {math.floor(ms / 1000), ms % 1000 * 1000}
`

/** Runs where keys of many shards are, so they are not declared. */
const SET_CLOCKS = "for i = 2, #ARGV do redis.call('SET', ARGV[i], ARGV[1]) end"

const withVirtualClock = (read: ReadPiece) => (name: string) => {
  const text = read(name)
  if (name !== 'clock') return text
  if (!text.includes(CLOCK_LINE)) throw new Error(`clock.lua lacks the line: ${CLOCK_LINE}`)
  return text.replace(CLOCK_LINE, VIRTUAL_CLOCK)
}

export interface VirtualLedger extends AsyncDisposable {
  readonly ledger: Ledger
  nowMs(): number
  advance(ms: number): Promise<void>
  clear(): Promise<void>
}

export async function openMemory(
  create: typeof createMemoryLedger = createMemoryLedger,
): Promise<VirtualLedger & { memory(): MemoryLedger }> {
  let nowMs = START_MS
  const clock = { nowMs: () => nowMs }
  let memory = create({ clock })
  // `clear` puts another ledger behind the one that the test holds.
  const ledger = new Proxy(memory, {
    get: (_, name) => {
      const value: unknown = Reflect.get(memory, name, memory)
      return typeof value === 'function' ? value.bind(memory) : value
    },
  })
  return {
    ledger,
    memory: () => memory,
    nowMs: () => nowMs,
    async advance(ms) {
      nowMs += ms
      // As Redis does, it sees every instant, and forgets by it.
      await memory.find('none')
      await memory.noteOf('none')
    },
    clear: async () => void (memory = create({ clock })),
    [Symbol.asyncDispose]: async () => memory[Symbol.asyncDispose](),
  }
}

/** Origin of the log of the gateway whose ledger it would be: every step is taken in an epoch. */
const OWNER = 'tests/audit/log'

/** Deletes what would have expired by the test's clock. */
async function expireKeys(client: Redis, nowMs: number): Promise<void> {
  const keys = await client.keys('L:*')
  const times = await Promise.all(keys.map((key) => client.pexpiretime(key)))
  const overdue = keys.filter((_, index) => (times[index] ?? -1) >= 0 && (times[index] ?? 0) <= nowMs)
  // One by one: on a Cluster they are in slots of their own.
  await Promise.all(overdue.map((key) => client.del(key)))
}

/** A server whose ledger's clock the test turns, and the shards that it has. */
interface Turned {
  readonly client: Redis
  readonly shards: readonly number[]
}

/** The ledger that serves, unless a test brings a broken one. */
interface Broken {
  readonly read?: ReadPiece
  readonly create?: typeof createRedisLedger
}

function turnedLedger(
  place: RedisPlace,
  servers: readonly Turned[],
  { read = readPiece, create = createRedisLedger, stop }: Broken & { readonly stop: () => Promise<void> },
): VirtualLedger {
  const scripts = loadScripts(withVirtualClock(read))
  const ledger = create({ ...place, commandTimeoutMs: 5_000, scripts, owner: OWNER })
  let nowMs = START_MS
  return {
    ledger,
    nowMs: () => nowMs,
    async advance(ms) {
      nowMs += ms
      await Promise.all(servers.map((server) => setClock(server, nowMs)))
      await Promise.all(servers.map(({ client }) => expireKeys(client, nowMs)))
    },
    async clear() {
      await Promise.all(servers.map(({ client }) => client.flushall()))
      await Promise.all(servers.map((server) => setClock(server, nowMs)))
      await openStore(ledger.store)
    },
    async [Symbol.asyncDispose]() {
      await ledger[Symbol.asyncDispose]()
      await stop()
    },
  }
}

async function setClock({ client, shards }: Turned, nowMs: number): Promise<void> {
  await client.eval(SET_CLOCKS, 0, nowMs, ...shards.map((shard) => clockKey(shard)))
}

export async function openRedis(
  broken: Broken = {},
): Promise<VirtualLedger & { readonly client: Redis; readonly url: string }> {
  const server = await startRedis()
  const client = new Redis(server.url)
  const stop = async () => {
    client.disconnect()
    await server.stop()
  }
  const turned = turnedLedger({ url: server.url }, [{ client, shards: ALL_SHARDS }], { ...broken, stop })
  await turned.clear()
  return { ...turned, client, url: server.url }
}

export async function openCluster(broken: Broken = {}): Promise<VirtualLedger & { readonly cluster: TestCluster }> {
  const cluster = await startRedisCluster()
  const owners = cluster.clients.map((client, index) => ({
    client,
    shards: ALL_SHARDS.filter((shard) => primaryOf(slotOf(tagOf(shard))) === index),
  }))
  const turned = turnedLedger({ nodes: cluster.nodes }, owners, { ...broken, stop: () => cluster.stop() })
  await turned.clear()
  return { ...turned, cluster }
}
