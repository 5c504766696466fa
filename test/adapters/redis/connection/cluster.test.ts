/**
 * What a Redis Cluster alone can show: decisions over several slots under load, a primary that is away, a failover, and
 * slots that move.
 */
import { expect, test, vi } from 'vitest'

import { createRedisLedger } from '../../../../src/adapters/redis/ledger.ts'
import { tagOf } from '../../../../src/adapters/redis/keys.ts'
import { slotOf } from '../../../../src/adapters/redis/connection/slot.ts'
import type { Accumulator } from '../../../../src/domain/ledger/accumulator.ts'
import type { Ledger } from '../../../../src/ports/ledger.ts'
import { asks, bucket, hold, lifetime, places, take } from '../../../contract/ledger-fixtures.ts'
import { openStore } from '../../../support/open-store.ts'
import { primaryOf, startRedisCluster } from '../../../support/redis-cluster.ts'

/** Generous: what is tested here is not the bound. */
const commandTimeoutMs = 5_000

/** The first shard from `from` on that this primary has. */
function shardOf(primary: number, from = 0): number {
  for (let shard = from; ; shard += 1) if (primaryOf(slotOf(tagOf(shard))) === primary) return shard
}

const [AT_0, AT_1, AT_2] = [shardOf(0), shardOf(1), shardOf(2)]

test('the slot of a key is what Redis says', async () => {
  await using cluster = await startRedisCluster()
  const keys = ['foo', '123456789', 'L:{v7}:Z', 'L:{vsf}:b:x{y}', '{}x', 'ä{ö}ü']
  const slots = await Promise.all(keys.map(async (key) => cluster.clients[0]?.call('CLUSTER', 'KEYSLOT', key)))
  expect(keys.map(slotOf)).toEqual(slots)
})

test('calls over budgets in several slots never pass a limit, and end exact', async () => {
  await using cluster = await startRedisCluster()
  const undelivered: unknown[] = []
  const onUndelivered = (error: unknown) => undelivered.push(error)
  await using first = createRedisLedger({ nodes: cluster.nodes, commandTimeoutMs, onUndelivered })
  await using second = createRedisLedger({ nodes: cluster.nodes.slice(0, 1), commandTimeoutMs, onUndelivered })
  const tenants = Array.from({ length: 12 }, (_, tenant) => lifetime(300, { key: `t${tenant}`, shard: tenant * 80 }))
  const everybody = lifetime(2_000, { key: 'all', shard: 1_023 })
  const spent = new Map<string, number>()
  const note = (one: Accumulator, amount: number) => spent.set(one.key, (spent.get(one.key) ?? 0) + amount)
  const work = async (worker: number) => {
    const ledger = worker % 2 === 0 ? first : second
    const tally = { held: 0, refused: 0 }
    for (let call = 0; call < 40; call += 1) {
      const tenant = tenants[(worker * 7 + call) % tenants.length] ?? everybody
      const outcome = await ledger.reserve(asks([take(tenant, 10), take(everybody, 10)]))
      if (outcome.kind !== 'held') {
        if (outcome.kind === 'refused') tally.refused += 1
        continue
      }
      tally.held += 1
      const actual = (worker + call) % 11
      await ledger.settle(outcome.hold, [actual, actual])
      for (const one of [tenant, everybody]) note(one, actual)
    }
    return tally
  }
  const over = new AbortController()
  const watch = async () => {
    while (!over.signal.aborted) {
      for (const { limit, settled, held } of await first.balances([everybody, ...tenants])) {
        expect(settled + held).toBeLessThanOrEqual(limit)
      }
    }
  }
  const watching = watch()
  const tallies = await Promise.all(Array.from({ length: 30 }, (_, worker) => work(worker)))
  over.abort()
  await watching
  const count = (kind: 'held' | 'refused') => tallies.reduce((sum, tally) => sum + tally[kind], 0)
  expect(count('held') + count('refused')).toBe(1_200)
  expect(count('refused')).toBeGreaterThan(0)
  const all = [everybody, ...tenants]
  await vi.waitUntil(async () => (await first.balances(all)).every(({ held }) => held === 0), { timeout: 10_000 })
  expect((await first.balances(all)).map(({ settled }) => settled)).toEqual(all.map(({ key }) => spent.get(key) ?? 0))
  expect(await first.holds(1_000)).toEqual([])
  expect(undelivered).toEqual([])
})

test('what one shard refuses is whole again in the others, and the same id may ask again', async () => {
  await using cluster = await startRedisCluster()
  await using ledger = createRedisLedger({ nodes: cluster.nodes, commandTimeoutMs })
  const full = lifetime(5, { key: 'full', shard: AT_1 })
  const slow: Accumulator = {
    ...bucket(10, { shard: AT_0 }),
    shape: { kind: 'bucket', amount: 1, periodMs: 3_600_000 },
  }
  const others = [slow, lifetime(10, { key: 'wide', shard: AT_2 }), places(1, { shard: AT_2 })]
  const request = asks([take(slow, 10), take(full, 6), take(others[1] ?? full, 10), take(others[2] ?? full)])
  for (let time = 0; time < 3; time += 1) {
    expect(await ledger.reserve(request)).toMatchObject({ kind: 'refused', shortfalls: [{ index: 1 }] })
  }
  expect(await ledger.balances(others)).toMatchObject(others.map(() => ({ settled: 0, held: 0 })))
  const fitting = request.charges.map((charge, index) => (index === 1 ? { ...charge, amount: 5 } : charge))
  expect(await ledger.reserve({ ...request, charges: fitting })).toMatchObject({
    kind: 'held',
    hold: { charges: fitting },
    states: fitting.map(() => ({ settled: 0, held: 0 })),
  })
})

const isHeld = async (ledger: Ledger, one: Accumulator) =>
  ledger.reserve(asks([take(one)])).then(
    ({ kind }) => kind === 'held',
    () => false,
  )

test('a primary that is away fails the decisions that need it, gives back what they held, and costs others nothing', async () => {
  await using cluster = await startRedisCluster()
  const undelivered: unknown[] = []
  const options = {
    nodes: cluster.nodes,
    commandTimeoutMs: 200,
    onUndelivered: (error: unknown) => undelivered.push(error),
  }
  await using ledger = createRedisLedger(options)
  await ledger.ping()
  const [here, there] = [lifetime(100, { shard: AT_0 }), lifetime(100, { key: 'there', shard: AT_1 })]
  const pid = cluster.primaries[1]?.pid ?? 0
  process.kill(pid, 'SIGSTOP')
  try {
    for (let call = 0; call < 12; call += 1) {
      await expect(ledger.reserve(asks([take(here), take(there)]))).rejects.toMatchObject({ name: 'LedgerUnavailable' })
      // The breaker of the other is open after five failures; this one serves on.
      expect(await ledger.balances([here])).toMatchObject([{ held: 0, settled: 0 }])
      await ledger.settle(await hold(ledger, [take(here, 0)]), [0])
    }
  } finally {
    process.kill(pid, 'SIGCONT')
  }
  await vi.waitUntil(() => isHeld(ledger, there), { timeout: 20_000 })
  expect(undelivered).toEqual([])
})

test('after a failover the replica decides, with what it was told', async () => {
  await using cluster = await startRedisCluster({ withReplica: true })
  await using ledger = createRedisLedger({ nodes: cluster.nodes, commandTimeoutMs: 500 })
  const budget = lifetime(10, { shard: AT_0 })
  await ledger.settle(await hold(ledger, [take(budget, 7)]), [7])
  await cluster.clients[0]?.call('WAIT', 1, 5_000)
  await cluster.primaries[0]?.stop()
  await vi.waitUntil(() => isHeld(ledger, budget), { timeout: 60_000, interval: 100 })
  expect(await ledger.balances([budget])).toMatchObject([{ settled: 7, held: 1 }])
  expect(await ledger.reserve(asks([take(budget, 3)]))).toMatchObject({ kind: 'refused' })
})

test('a slot that moves takes its budgets along, and no decision is lost or made twice', async () => {
  await using cluster = await startRedisCluster()
  await using ledger = createRedisLedger({ nodes: cluster.nodes, commandTimeoutMs, owner: 'cluster/test' })
  await openStore(ledger.store)
  const [source, target] = cluster.clients
  const budget = lifetime(1_000, { shard: AT_0 })
  const slot = slotOf(tagOf(AT_0))
  const ids = await Promise.all([source, target].map(async (client) => String(await client?.call('CLUSTER', 'MYID'))))
  await hold(ledger, [take(budget, 5)])
  await target?.call('CLUSTER', 'SETSLOT', slot, 'IMPORTING', ids[0] ?? '')
  await source?.call('CLUSTER', 'SETSLOT', slot, 'MIGRATING', ids[1] ?? '')
  // The budget has not moved and a new hold has no record yet: neither server has all keys of a decision.
  const meanwhile = await ledger.reserve(asks([take(budget)])).catch((error: unknown) => error)
  expect(meanwhile).toMatchObject({ fault: 'moving', maybeDone: false })
  const keys: unknown = await source?.call('CLUSTER', 'GETKEYSINSLOT', slot, 100)
  const names = Array.isArray(keys) ? keys.map(String) : []
  await source?.call('MIGRATE', '127.0.0.1', cluster.primaries[1]?.port ?? 0, '', 0, 5_000, 'KEYS', ...names)
  // Everything is there, but the slot is still the source's, which sends each command there for once.
  expect(await ledger.balances([budget])).toMatchObject([{ held: 5 }])
  expect(await ledger.holds(10)).toHaveLength(1)
  for (const client of cluster.clients) await client.call('CLUSTER', 'SETSLOT', slot, 'NODE', ids[1] ?? '')
  expect(await ledger.reserve(asks([take(budget, 7)]))).toMatchObject({ kind: 'held', states: [{ held: 5 }] })
  expect(await ledger.holds(10)).toHaveLength(2)
})

test('nodes that are no Cluster, and a Cluster that was taken for one Redis, say what is wrong', async () => {
  await using cluster = await startRedisCluster()
  // A node that does not have the shard.
  const url = `redis://127.0.0.1:${cluster.primaries[1]?.port}`
  await using wrong = createRedisLedger({ url, commandTimeoutMs })
  await expect(wrong.reserve(asks([take(lifetime(1, { shard: AT_0 }))]))).rejects.toThrow('redis-cluster')
  await using nobody = createRedisLedger({ nodes: [{ host: '127.0.0.1', port: 1 }], commandTimeoutMs })
  await expect(nobody.ping()).rejects.toThrow('ECONNREFUSED')
})
