/**
 * What Redis alone can show: the scripts exactly as they serve, on Redis's own clock.
 */
import { Redis } from 'ioredis'
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest'

import { createRedisLedger } from '../../../src/adapters/redis/ledger.ts'
import { loadScripts } from '../../../src/adapters/redis/scripts.ts'
import type { Accumulator } from '../../../src/domain/ledger/accumulator.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { LEASE, asks, bucket, hold, hourly, lifetime, places, ring, take } from '../../contract/ledger-fixtures.ts'
import { startRedis } from '../../support/redis-server.ts'
import type { TestRedis } from '../../support/redis-server.ts'

/** Generous: what is tested here is not the bound. */
const commandTimeoutMs = 5_000

let server: TestRedis
let client: Redis
let ledger: Ledger
beforeAll(async () => {
  server = await startRedis()
  client = new Redis(server.url)
  ledger = createRedisLedger({ url: server.url, commandTimeoutMs })
})
beforeEach(async () => void (await client.flushall()))
afterAll(async () => {
  await ledger[Symbol.asyncDispose]()
  client.disconnect()
  await server.stop()
})

/** Every key with its exact content and the instant at which it ends. */
async function dump(): Promise<Record<string, string>> {
  const keys = (await client.keys('*')).sort()
  const entries = keys.map(async (key): Promise<[string, string]> => {
    const [content, endsMs] = await Promise.all([client.dumpBuffer(key), client.pexpiretime(key)])
    return [key, `${content?.toString('base64')} ${endsMs}`]
  })
  return Object.fromEntries(await Promise.all(entries))
}

/** A bucket that drains too slowly to matter within a test. */
const slowBucket = (limit: number) => ({
  ...bucket(limit),
  shape: { kind: 'bucket', amount: 1, periodMs: 3_600_000 } as const,
})

describe('a refusal', () => {
  test('leaves the store byte for byte as it was, with every kind present', async () => {
    const all = [hourly(Date.now(), 10), lifetime(10), places(10), ring(10), slowBucket(10)]
    await ledger.settle(
      await hold(
        ledger,
        all.map((one) => take(one)),
      ),
      [1, 1, 1, 1, 1],
    )
    await hold(
      ledger,
      all.map((one) => take(one)),
    )
    const before = await dump()
    expect(Object.keys(before)).toHaveLength(all.length + 3)
    const newer = (one: Accumulator) => ({ ...one, limit: 1_000, limitVersion: 99 })
    for (const short of all) {
      const amount = short.shape.kind === 'concurrency' ? 1 : 11
      const blocked = { ...short, limit: 0, limitVersion: 99 }
      const others = all.filter((one) => one !== short).map((one) => take(newer(one)))
      expect(await ledger.reserve(asks([...others, take(blocked, amount)]))).toMatchObject({ kind: 'refused' })
    }
    expect(await dump()).toEqual(before)
  })

  test('of a stale window or a repeated id leaves it so, too, and so does reading', async () => {
    const request = asks([take(lifetime(10)), take(ring(10)), take(slowBucket(10))])
    await ledger.reserve(request)
    const before = await dump()
    expect(await ledger.reserve(request)).toEqual({ kind: 'duplicate', state: 'held' })
    expect(await ledger.reserve(asks([take(lifetime(10)), take(hourly(0, 10))]))).toMatchObject({ kind: 'stale' })
    await ledger.balances([lifetime(10), ring(10), slowBucket(10), places(5)])
    await ledger.find(request.id)
    await ledger.holds(10)
    expect(await dump()).toEqual(before)
  })
})

describe('200 calls at once from two connections', () => {
  test.each([
    ['budget', lifetime(7)],
    ['sliding window', ring(7)],
    ['bucket', slowBucket(7)],
    ['concurrency', places(7)],
  ])('admit exactly 7 on a %s of 7', async (_, one) => {
    const other = createRedisLedger({ url: server.url, commandTimeoutMs })
    const budget = lifetime(1_000, { key: 'wide', shard: 500 })
    const calls = Array.from({ length: 200 }, (_, index) =>
      (index % 2 === 0 ? ledger : other).reserve(asks([take(budget, 3), take(one)])),
    )
    const outcomes = await Promise.all(calls)
    await other[Symbol.asyncDispose]()
    expect(outcomes.filter(({ kind }) => kind === 'held')).toHaveLength(7)
    expect(outcomes.filter(({ kind }) => kind === 'refused')).toHaveLength(193)
    expect(await ledger.balances([budget])).toEqual([{ limit: 1_000, settled: 0, held: 21 }])
    expect(await ledger.holds(500)).toHaveLength(7)
  })

  test('settle one hold exactly once', async () => {
    const budget = lifetime(100)
    const held = await hold(ledger, [take(budget, 50)])
    const outcomes = await Promise.all(Array.from({ length: 200 }, () => ledger.settle(held, [20])))
    expect(outcomes.filter(({ kind }) => kind === 'settled')).toHaveLength(1)
    expect(await ledger.balances([budget])).toEqual([{ limit: 100, settled: 20, held: 0 }])
  })
})

describe('on the clock of Redis', () => {
  test('a lease runs out and is charged in full; two reapers charge it once', async () => {
    const other = createRedisLedger({ url: server.url, commandTimeoutMs })
    const held = await hold(ledger, [take(lifetime(100), 30), take(places(5))], { leaseMs: 1 })
    const reaped = await vi.waitUntil(async () => {
      const both = await Promise.all([ledger.reap(10), other.reap(10)])
      return both.flat().length > 0 && both.flat()
    })
    await other[Symbol.asyncDispose]()
    expect(reaped.map(({ id }) => id)).toEqual([held.id])
    expect(await ledger.balances([lifetime(100), places(5)])).toEqual([
      { limit: 100, settled: 30, held: 0 },
      { limit: 5, settled: 0, held: 0 },
    ])
    expect(await client.zcard('L:{v7}:Z')).toBe(0)
  })

  test('reapers of several nodes and late settlements race, and every hold is charged once', async () => {
    const nodes = Array.from({ length: 4 }, () => createRedisLedger({ url: server.url, commandTimeoutMs }))
    const budget = lifetime(1_000_000)
    const holds = await Promise.all(
      Array.from({ length: 200 }, () => hold(ledger, [take(budget, 30), take(places(500))], { leaseMs: 1 })),
    )
    const late = holds.filter((_, index) => index % 2 === 0)
    const [reaped, settled] = await Promise.all([
      Promise.all(nodes.flatMap((node) => [node.reap(500), node.reap(500), node.reap(500)])),
      Promise.all(late.flatMap((one) => nodes.map((node) => node.settle(one, [7, 1])))),
    ])
    const rest = await vi.waitUntil(async () => {
      const more = await ledger.reap(500)
      return (await ledger.holds(1)).length === 0 && [more]
    })
    for (const node of nodes) await node[Symbol.asyncDispose]()
    const ids = [...reaped, ...rest].flat().map(({ id }) => id)
    expect(new Set(ids).size).toBe(ids.length)
    expect(settled.filter(({ kind }) => kind === 'settled')).toHaveLength(late.length)
    expect(await ledger.balances([budget, places(500)])).toEqual([
      { limit: 1_000_000, settled: 100 * 7 + 100 * 30, held: 0 },
      { limit: 500, settled: 0, held: 0 },
    ])
    expect(await ledger.expired(holds[0]?.owner ?? '', 500)).toHaveLength(100)
  })

  test('the list of expired holds is read without changing a byte, and empty again leaves no key', async () => {
    const held = await hold(ledger, [take(lifetime(100), 30)], { leaseMs: 1 })
    await vi.waitUntil(async () => (await ledger.reap(10)).length > 0)
    const before = await dump()
    expect(await ledger.expired(held.owner, 10)).toEqual([held])
    expect(await ledger.expired('nobody', 10)).toEqual([])
    expect(await dump()).toEqual(before)
    expect(await client.exists(`L:{v7}:X:${held.owner}`)).toBe(1)
    await ledger.settle(held, [30])
    expect(await client.keys('L:*:X:*')).toEqual([])
  })

  test('a lease that was extended after it was found overdue is not charged', async () => {
    const held = await hold(ledger, [take(lifetime(100), 30)])
    const keys = [`L:{v7}:R:${held.id}`, 'L:{v7}:Z', 'L:{v7}:X:test/audit/log', 'L:{v7}:b:rule|budget', 'L:{v7}:E']
    const expire = loadScripts().expire.text
    const before = await dump()
    expect(await client.eval(expire, keys.length, ...keys, held.id, 1_000, 1_000, 'b', 30, 1, '')).toBe('live')
    expect(await dump()).toEqual(before)
  })

  test('what has an end has it set, what is held has none', async () => {
    const window = hourly(Date.now(), 10)
    const held = await hold(ledger, [take(window), take(ring(10)), take(bucket(10)), take(places(10))])
    const endOf = async (part: string) => {
      const [key] = await client.keys(`L:{v7}:${part}*`)
      return client.pexpiretime(key ?? '')
    }
    const endMs = window.shape.kind === 'budget' ? (window.shape.window?.endMs ?? 0) : 0
    expect(await endOf('b:')).toBe(endMs + 65 * 60_000)
    expect(await endOf('s')).toBeGreaterThan(Date.now() + 60_000)
    expect(await endOf('t')).toBeGreaterThan(Date.now() + 1_000)
    expect(await endOf('c:')).toBe(-1)
    expect(await endOf('R:')).toBe(-1)
    await ledger.settle(held, [1, 1, 1, 1])
    expect(await endOf('c:')).toBeGreaterThan(Date.now())
    expect(await endOf('R:')).toBeGreaterThan(Date.now() + 100_000)
    await hold(ledger, [take(places(10))])
    expect(await endOf('c:')).toBe(-1)
  })
})

describe('what can happen to the store', () => {
  test('one walk finds overdue holds in the first, the last and any other shard', async () => {
    const shards = [0, 127, 128, 777, 1_023]
    const ids = await Promise.all(
      shards.map(async (shard) => (await hold(ledger, [take(lifetime(100, { shard }))], { leaseMs: 1 })).id),
    )
    await vi.waitUntil(async () => (await ledger.holds(10)).length === 5)
    await new Promise((resolve) => setTimeout(resolve, 5))
    expect((await ledger.reap(10)).map(({ id }) => id).toSorted()).toEqual(ids.toSorted())
    expect(await ledger.reap(10)).toEqual([])
  })

  test('scripts that Redis has forgotten are sent again', async () => {
    await hold(ledger, [take(lifetime(100))])
    await client.script('FLUSH')
    const calls = await Promise.all(Array.from({ length: 20 }, () => ledger.reserve(asks([take(lifetime(100))]))))
    expect(calls.every(({ kind }) => kind === 'held')).toBe(true)
  })

  test('a lease without its record is removed, not charged', async () => {
    await client.zadd('L:{v7}:Z', 1, 'ghost.1')
    expect(await ledger.reap(10)).toEqual([])
    expect(await client.zcard('L:{v7}:Z')).toBe(0)
  })

  test('an unreadable record is an error of the store, and keeps no other hold from expiring', async () => {
    await client.set('L:{v7}:R:bad.1', 'R|garbage')
    await client.zadd('L:{v7}:Z', 1, 'bad.1')
    const good = await hold(ledger, [take(lifetime(100), 5)], { leaseMs: 1 })
    const reaped = await vi.waitUntil(async () => {
      const some = await ledger.reap(10).catch(() => [])
      return some.length > 0 && some
    })
    expect(reaped).toMatchObject([{ id: good.id }])
    await expect(ledger.reap(10)).rejects.toThrow('bad.1')
    await expect(ledger.find('bad.1')).rejects.toMatchObject({ name: 'LedgerUnavailable' })
  })

  test('two prefixes keep two ledgers apart', async () => {
    const other = createRedisLedger({ url: server.url, commandTimeoutMs, prefix: 'staging' })
    await hold(other, [take(lifetime(10), 10)], { leaseMs: LEASE })
    expect(await ledger.balances([lifetime(10)])).toEqual([{ limit: 10, settled: 0, held: 0 }])
    expect((await client.keys('*')).every((key) => key.startsWith('staging:'))).toBe(true)
    await other[Symbol.asyncDispose]()
    expect(() => createRedisLedger({ url: server.url, prefix: 'a b' })).toThrow('ledger prefix')
  })
})
