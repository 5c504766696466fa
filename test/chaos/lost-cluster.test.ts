import { Redis } from 'ioredis'
import { afterEach, describe, expect, it } from 'vitest'
import { count, shares, startFleet, TOKENS_BOUND_MAX, TOKENS_PER_CALL } from '../support/fleet.ts'
import type { Fleet, Seen } from '../support/fleet.ts'
import { expectExact, spendAll, TOKENS } from '../support/loaded-fleet.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import type { TestCluster } from '../support/redis-cluster.ts'

/** Enough for each primary to have some of them: the test looks whether it does. */
const TENANTS = Array.from({ length: 12 }, (_, index) => `tenant-${index}`)

let cluster: TestCluster
let fleet: Fleet

async function start(options: { readonly tokens: number; readonly share?: number; readonly withReplica?: boolean }) {
  const { withReplica = false, ...budgets } = options
  cluster = await startRedisCluster({ withReplica })
  const clusterNodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`)
  fleet = await startFleet({ size: 2, tenants: TENANTS, clusterNodes, ...budgets })
}

afterEach(async () => {
  await fleet[Symbol.asyncDispose]()
  await cluster.stop()
})

/** Fails when a primary counts for no tenant: then nothing would be lost with it. */
async function expectSharesEverywhere(): Promise<void> {
  for (const client of cluster.clients) expect(await client.keys('L:*}:b:*tenant-*')).not.toEqual([])
}

/** What the replica says it is. */
async function replication(): Promise<string> {
  const client = new Redis(cluster.replica?.url ?? '')
  try {
    return await client.info('replication')
  } finally {
    client.disconnect()
  }
}

/** Budgets of all tenants together and of each, to the token. */
async function expectAllExact(seen: readonly Seen[]): Promise<void> {
  const { log, ledger } = await expectExact(fleet, seen)
  expect(ledger).toBe(log)
  const each = await shares(fleet)
  expect(each.map(({ tenant, log: share }) => ({ tenant, log: share, ledger: share }))).toEqual(each)
  expect(each.reduce((sum, share) => sum + share.log, 0)).toBe(log)
}

describe('one primary of a Cluster that is lost under load', () => {
  it('flushed alone: nobody is admitted before all shards have what the logs say, and every budget is exact', async () => {
    await start({ tokens: TOKENS })
    const flush = (primary: number) => async () => {
      await expectSharesEverywhere()
      await cluster.clients[primary]?.flushall()
    }
    const seen = await spendAll(fleet, [flush(1), flush(0)])
    expect(count(seen, 503)).toBeGreaterThan(0)
    await expectAllExact(seen)
  })

  it('killed, with its replica taking over: every budget is exact', async () => {
    await start({ tokens: TOKENS, withReplica: true })
    const seen = await spendAll(fleet, [async () => cluster.primaries[0]?.stop()])
    expect(count(seen, 503)).toBeGreaterThan(0)
    await expectAllExact(seen)
    expect(await replication()).toContain('role:master')
  })
})

describe('one primary of a Cluster that is flushed when every share is spent', () => {
  it.each([0, 1, 2])('primary %i: not one call of any tenant gets through', async (primary) => {
    const share = TOKENS_BOUND_MAX + 3 * TOKENS_PER_CALL
    await start({ tokens: 2 * TENANTS.length * share, share })
    for (const tenant of TENANTS) await spendShare(tenant)
    await expectSharesEverywhere()
    const before = await shares(fleet)
    await cluster.clients[primary]?.flushall()
    const after = await Promise.all([0, 1, 0, 1].map(callEach))
    expect(after.flat().filter((status) => status !== 429 && status !== 503)).toEqual([])
    expect(await shares(fleet)).toEqual(before)
  })
})

/** One call after the other, so that only the budget can refuse. */
async function spendShare(tenant: string): Promise<void> {
  for (let status = 200; status !== 429;) status = (await fleet.call(0, tenant)).status
}

async function callEach(place: number): Promise<readonly number[]> {
  const seen: number[] = []
  for (const tenant of TENANTS) seen.push((await fleet.call(place, tenant)).status)
  return seen
}
