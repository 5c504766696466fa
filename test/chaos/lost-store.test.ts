import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { acquainted, books, count, startFleet, TOKENS_PER_CALL } from '../support/fleet.ts'
import type { Fleet } from '../support/fleet.ts'
import type { Standing } from '../support/books.ts'
import { expectExact, spendAll, TOKENS } from '../support/loaded-fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

let redis: TestRedis
let client: Redis
let fleet: Fleet

beforeEach(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  client.on('error', () => undefined)
  fleet = await startFleet({ size: 2, tokens: TOKENS, redisUrl: redis.url })
})
afterEach(async () => {
  await fleet[Symbol.asyncDispose]()
  client.disconnect()
  await redis.stop()
})

async function readyz(place: number): Promise<string> {
  return (await fetch(`${fleet.gateways[place]?.url}/readyz?verbose`)).text()
}

/** What a caller is told of the purse: what is used of it, or that nothing can be told. */
async function told(place: number): Promise<unknown> {
  const gateway = fleet.gateways[place]
  const headers = { authorization: `Bearer ${await gateway?.token()}` }
  const response = await fetch(`${gateway?.url}/v1/limits`, { headers })
  if (response.status !== 200) return response.status
  // The shape is the route's own; the tests of routes hold it.
  const { data } = (await response.json()) as { readonly data: readonly Standing[] }
  return data.find(({ rule }) => rule === 'purse')?.used
}

/** What these many calls through one gateway were answered with. */
async function statuses(place: number, calls: number): Promise<readonly number[]> {
  const seen: number[] = []
  for (let call = 0; call < calls; call += 1) seen.push((await fleet.call(place)).status)
  return seen
}

const untilAdmitted = (place: number) =>
  until('calls are admitted again', async () => ((await fleet.call(place)).status === 200 ? true : undefined))

describe('a store that is lost under load', () => {
  it('flushed twice: nobody is admitted before it has what the logs say, and the budget holds to the token', async () => {
    const flush = () => client.flushall()
    const seen = await spendAll(fleet, [flush, flush])
    expect(count(seen, 503)).toBeGreaterThan(0)
    await expectExact(fleet, seen)
  })

  it('flushed when the budget is spent: not one call gets through', async () => {
    await spendAll(fleet, [])
    await client.flushall()
    const after = await Promise.all([statuses(0, 20), statuses(1, 20), statuses(0, 20), statuses(1, 20)])
    expect(after.flat().filter((status) => status !== 429 && status !== 503)).toEqual([])
    expect(await statuses(0, 1)).not.toEqual([200])
  })

  it('flushed when the budget is spent: no caller is told that something is left', async () => {
    await spendAll(fleet, [])
    const { ledger } = await books(fleet)
    await client.flushall()
    const seen = new Set<unknown>()
    await until('the purse is told again', async () => {
      const both = await Promise.all([told(0), told(1)])
      for (const one of both) seen.add(one)
      return both.every((one) => one === ledger) ? true : undefined
    })
    expect([...seen].filter((one) => one !== ledger && one !== 503)).toEqual([])
    expect(seen).toContain(503)
  })

  it('restarted without its data: the same', async () => {
    const restart = async () => {
      await redis.stop()
      redis = await startRedis({ port: redis.port })
    }
    const seen = await spendAll(fleet, [restart])
    expect(count(seen, 503)).toBeGreaterThan(0)
    await expectExact(fleet, seen)
  })

  it('forgets its scripts alone: it is looked at, and nothing is rebuilt', async () => {
    const seen = await spendAll(fleet, [() => client.script('FLUSH')])
    for (const gateway of fleet.gateways) expect(gateway.log().split('the ledger is closed').length).toBeLessThan(4)
    expect(fleet.gateways[1]?.log()).not.toContain('the ledger is closed')
    await expectExact(fleet, seen)
  })
})

describe('a gateway that is away when the store is lost', () => {
  it('keeps the budget closed until it is back, and what it had spent counts', async () => {
    expect(await statuses(0, 10)).toEqual(Array.from({ length: 10 }, () => 200))
    expect(await statuses(1, 20)).toEqual(Array.from({ length: 20 }, () => 200))
    await acquainted(fleet)
    await books(fleet)
    await fleet.gateways[1]?.kill()
    await client.flushall()
    await until('the other gateway waits', async () => ((await readyz(0)).includes('waiting') ? true : undefined))
    expect(await statuses(0, 5)).toEqual([503, 503, 503, 503, 503])
    expect(await told(0)).toBe(503)
    expect(await readyz(0)).toMatch(/ledger failed: waiting: .*audit\/log-/)
    await fleet.restart(1)
    await untilAdmitted(0)
    const sums = await books(fleet)
    expect(sums).toEqual({ log: 31 * TOKENS_PER_CALL, ledger: 31 * TOKENS_PER_CALL, held: 0, provider: sums.log })
  })
})
