/**
 * Ledgers whose clock a test turns.
 */
import { Redis } from 'ioredis'

import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import type { MemoryLedger } from '../../src/adapters/memory/ledger.ts'
import { createRedisLedger } from '../../src/adapters/redis/ledger.ts'
import { loadScripts, readPiece } from '../../src/adapters/redis/scripts.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { startRedis } from './redis-server.ts'

/** Ahead of every real clock, so that Redis itself expires nothing: the test does, by its own clock. */
const START_MS = Date.UTC(2090, 0, 1)

/** Where the scripts of a test read the time. */
const CLOCK_KEY = 'test:clock'

const CLOCK_LINE = "local time = redis.call('TIME')"

function withVirtualClock(name: string): string {
  const text = readPiece(name)
  if (name !== 'clock') return text
  if (!text.includes(CLOCK_LINE)) throw new Error(`clock.lua lacks the line: ${CLOCK_LINE}`)
  const virtual = `local ms = tonumber(redis.call('GET', '${CLOCK_KEY}')) local time = {math.floor(ms / 1000), ms % 1000 * 1000}`
  return text.replace(CLOCK_LINE, virtual)
}

export interface VirtualLedger extends AsyncDisposable {
  readonly ledger: Ledger
  nowMs(): number
  advance(ms: number): Promise<void>
  clear(): Promise<void>
}

export async function openMemory(): Promise<VirtualLedger & { memory(): MemoryLedger }> {
  let nowMs = START_MS
  const clock = { nowMs: () => nowMs }
  let memory = createMemoryLedger({ clock })
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
    clear: async () => void (memory = createMemoryLedger({ clock })),
    [Symbol.asyncDispose]: async () => memory[Symbol.asyncDispose](),
  }
}

/** Deletes what would have expired by the test's clock. */
async function expireKeys(client: Redis, nowMs: number): Promise<void> {
  const keys = await client.keys('L:*')
  const times = await Promise.all(keys.map((key) => client.pexpiretime(key)))
  const overdue = keys.filter((_, index) => (times[index] ?? -1) >= 0 && (times[index] ?? 0) <= nowMs)
  if (overdue.length > 0) await client.del(overdue)
}

export async function openRedis(): Promise<VirtualLedger & { readonly client: Redis; readonly url: string }> {
  const server = await startRedis()
  const client = new Redis(server.url)
  let nowMs = START_MS
  const setClock = () => client.set(CLOCK_KEY, nowMs)
  await setClock()
  const scripts = loadScripts(withVirtualClock)
  const ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 5_000, scripts })
  return {
    ledger,
    client,
    url: server.url,
    nowMs: () => nowMs,
    async advance(ms) {
      nowMs += ms
      await setClock()
      await expireKeys(client, nowMs)
    },
    async clear() {
      await client.flushall()
      await setClock()
    },
    async [Symbol.asyncDispose]() {
      await ledger[Symbol.asyncDispose]()
      client.disconnect()
      await server.stop()
    },
  }
}
