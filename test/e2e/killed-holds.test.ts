import { rm } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createRedisLedger } from '../../src/adapters/redis/ledger.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { createIds } from '../../src/adapters/system/ids.ts'
import { formatAmount } from '../../src/domain/prices/money.ts'
import { callOf } from '../../src/domain/call-id.ts'
import type { Hold } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { nano, openIn, recordsOf, settledIn, spendOf, standingOf } from '../support/books.ts'
import { chat, openStream, post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const POLICIES = policySet(`
limits:
  - name: places
    key: [tenant, agent]
    concurrent: 100
budgets:
  - name: dollars
    key: [tenant, agent]
    limit: {usd: "1000.00", period: lifetime}
  - name: tokens
    key: [tenant, team]
    limit: {tokens: 100000000, period: month}
`)

/** Longer than any ledger remembers a settlement that it was told is on record. */
const LATER_MS = 130_000

const CALLERS = 32

/** Largest file in blocks of 512 bytes (or 1,024, as some shells count): room for some hundred calls in a log. */
const LOG_BLOCKS = 1_500

const slow = chat('tokens=4000 speed=10', { stream: true, max_tokens: 4_000 })

/** Ended after each test, however it ends, with what they wrote. */
let started: RunningGateway[] = []

afterEach(async () => {
  for (const gateway of started) {
    await gateway.kill()
    await rm(gateway.dir, { recursive: true, force: true })
  }
  started = []
})

async function start(options: { dir?: string; redisUrl?: string; fileBlocksMax?: number }): Promise<RunningGateway> {
  const gateway = await startGateway({ policies: POLICIES, ...options })
  started.push(gateway)
  return gateway
}

/** Kills a gateway after this many answers, with callers that call as fast as they are answered. */
async function killAmidCalls(gateway: RunningGateway, answers: number): Promise<void> {
  const token = await gateway.token()
  let left = answers
  const call = async (): Promise<void> => {
    try {
      const response = await post({ url: gateway.url, token, body: chat('tokens=10', { max_tokens: 100 }) })
      await response.arrayBuffer()
    } catch {
      return
    }
    left -= 1
    if (left === 0) await gateway.kill()
    return call()
  }
  await Promise.all(Array.from({ length: CALLERS }, call))
}

/** Calls from many callers until one call cannot be put on record; answers what its caller read. */
async function callUntilUnrecorded(gateway: RunningGateway): Promise<unknown> {
  const token = await gateway.token()
  let refused: unknown
  const call = async (): Promise<void> => {
    if (refused !== undefined) return
    const response = await post({ url: gateway.url, token, body: chat('tokens=10', { max_tokens: 100 }) })
    const text = await response.text()
    if (response.status === 503) refused ??= JSON.parse(text)
    return call()
  }
  await Promise.all(Array.from({ length: CALLERS }, call))
  return refused
}

/** What log, ledger and report say was spent, and what is left open. */
async function readBooks(gateway: RunningGateway) {
  const token = await gateway.token()
  const [dollars, tokens, places] = await Promise.all(
    ['dollars', 'tokens', 'places'].map((rule) => standingOf(gateway.url, token, rule)),
  )
  const records = await recordsOf(gateway.dataDir)
  const [report, verified] = await Promise.all([
    spendOf(gateway.dataDir),
    runCli(['audit', 'verify', '--data', gateway.dataDir]),
  ])
  return {
    spent: { log: settledIn(records), ledger: nano(dollars?.used), report: BigInt(report.total.nanoUsd) },
    held: [dollars?.held, tokens?.held, places?.held],
    unsettled: openIn(records).length + report.open.calls,
    verified: verified.code,
  }
}

type Books = Awaited<ReturnType<typeof readBooks>>

/** Everybody says the same, and nothing is open or held. */
function balanced({ spent }: Books): Books {
  return {
    spent: { log: spent.log, ledger: spent.log, report: spent.log },
    held: ['0.000000000', 0, 0],
    unsettled: 0,
    verified: 0,
  }
}

const outcomes = async (gateway: RunningGateway) =>
  (await recordsOf(gateway.dataDir, { types: ['settle'] })).map((record) => record['out'])

describe('kill -9 with the memory ledger', () => {
  it('in the middle of short calls: the restarted ledger is what the log says, wherever the kill came', async () => {
    const killed = await start({})
    await killAmidCalls(killed, 300)
    const gateway = await start({ dir: killed.dir })
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(books.spent.log).toBeGreaterThan(0n)
  })
})

describe('kill -9 with Redis', () => {
  let redis: TestRedis
  let client: Redis
  let ledger: Ledger

  beforeEach(async () => {
    redis = await startRedis()
    client = new Redis(redis.url)
    ledger = createRedisLedger({ url: redis.url })
  })
  afterEach(async () => {
    await ledger[Symbol.asyncDispose]()
    client.disconnect()
    await redis.stop()
  })

  /** A gateway that was killed while one stream was open, and the hold of that stream. */
  async function killedWithStream() {
    const gateway = await start({ redisUrl: redis.url })
    const stream = await openStream({ url: gateway.url, token: await gateway.token(), body: slow })
    await stream.seen(1)
    await until('the decision is on record', async () =>
      openIn(await recordsOf(gateway.dataDir)).length === 1 ? true : undefined,
    )
    const hold = await ledger.find(`${stream.id}.1`)
    if (hold === undefined) throw new Error('the stream holds nothing')
    await gateway.kill()
    await stream.ended
    return { gateway, hold }
  }

  /** Leaves in Redis what a kill leaves that comes between a reservation and the record of its decision. */
  async function reserveUnrecorded({ charges, owner }: Hold): Promise<string> {
    const id = `${createIds(systemClock).next()}.1`
    const outcome = await ledger.reserve({ id, charges, owner, leaseMs: 90_000 })
    expect(outcome.kind).toBe('held')
    return id
  }

  /** What time does to Redis while no gateway runs but another's reaper: leases run out and settlements are forgotten. */
  async function later(): Promise<void> {
    for (const key of await client.keys('L:*:R:*')) {
      const left = await client.pttl(key)
      if (left >= 0) await client.pexpire(key, Math.max(1, left - LATER_MS))
    }
    for (const key of await client.keys('L:*:Z')) {
      for (const id of await client.zrange(key, '0', '-1')) await client.call('ZADD', key, 'XX', '1', id)
    }
    await ledger.reap(1_000)
    expect(await ledger.holds(10)).toEqual([])
  }

  const restart = (gateway: RunningGateway) => start({ dir: gateway.dir, redisUrl: redis.url })

  it('between a reservation and the record of its decision: its charge is put on record, once', async () => {
    const { gateway: killed, hold } = await killedWithStream()
    const id = await reserveUnrecorded(hold)
    await later()
    const gateway = await restart(killed)
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(await outcomes(gateway)).toEqual(['crash', 'expired'])
    const found = await runCli(['audit', 'query', '--data', gateway.dataDir, '--id', callOf(id), '--json'])
    expect(JSON.parse(found.stdout)).toMatchObject({ out: 'expired', rsv: id, usd: { act: formatUsdOf(hold) } })
    expect(await gateway.stop()).toBe(0)
    expect(await readBooks(await restart(killed))).toEqual(books)
  })

  it('and a restart before the lease is over: the hold stays, and is accounted for once it has expired', async () => {
    const { gateway: killed, hold } = await killedWithStream()
    const id = await reserveUnrecorded(hold)
    const early = await restart(killed)
    expect(await outcomes(early)).toEqual(['crash'])
    expect((await ledger.holds(10)).map((one) => one.id)).toEqual([id])
    expect(await early.stop()).toBe(0)
    await later()
    const gateway = await restart(killed)
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(await outcomes(gateway)).toEqual(['crash', 'expired'])
  })

  it('between the ledger and the log: a restart minutes later writes what was really spent', async () => {
    const { gateway: killed, hold } = await killedWithStream()
    const { places, dollars, tokens } = { places: 1, dollars: 1_234, tokens: 56 }
    const note = ['ok', 200, 'provider_usage', 6, 50, formatAmount(dollars), [places, dollars, tokens]]
    expect(hold.charges.map(({ accumulator }) => accumulator.shape.kind)).toEqual(['concurrency', 'budget', 'budget'])
    await ledger.settle(hold, [places, dollars, tokens], { note: JSON.stringify(note) })
    await later()
    const gateway = await restart(killed)
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(books.spent.log).toBe(BigInt(dollars))
    expect(await recordsOf(gateway.dataDir, { types: ['settle'] })).toMatchObject([
      { out: 'ok', basis: 'provider_usage', flags: ['settlement_recovered'] },
    ])
  })

  it('after the log took no more records: what was admitted without one is accounted for, and no call is without its end', async () => {
    const killed = await start({ redisUrl: redis.url, fileBlocksMax: LOG_BLOCKS })
    const refused = await callUntilUnrecorded(killed)
    expect(refused).toMatchObject({ error: { code: 'audit_unavailable' } })
    await killed.kill()
    expect((await ledger.holds(CALLERS + 1)).length).toBeGreaterThan(0)
    await later()
    const gateway = await restart(killed)
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(await outcomes(gateway)).toContain('expired')
  })

  it('in the middle of short calls, and a restart minutes later: every call is accounted for, wherever the kill came', async () => {
    const killed = await start({ redisUrl: redis.url })
    await killAmidCalls(killed, 300)
    await later()
    const gateway = await restart(killed)
    const books = await readBooks(gateway)
    expect(books).toEqual(balanced(books))
    expect(books.spent.log).toBeGreaterThan(0n)
  })
})

/** What a hold holds in dollars, as records write it. */
function formatUsdOf({ charges }: Hold): string {
  return formatAmount(Math.max(...charges.map(({ amount }) => amount)))
}
