import { rm } from 'node:fs/promises'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import type { AuditRecord } from '../../src/domain/audit/audit-record.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { isAdmitted, nano, openIn, recordsOf, settledIn, spendOf, standingOf } from '../support/books.ts'
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

const STREAMS = 50

/** Callers that call without a pause, so that a kill finds some call at every step of its way. */
const CALLERS = 32

/** Far slower than the test: none of these ends by itself before the kill. */
const slow = chat('tokens=4000 speed=10', { stream: true, max_tokens: 4_000 })
const quick = chat('tokens=20', { stream: true, max_tokens: 40 })

/** Ended after each test, however it ends, with what they wrote. */
let started: RunningGateway[] = []

afterEach(async () => {
  for (const gateway of started) {
    await gateway.kill()
    await rm(gateway.dir, { recursive: true, force: true })
  }
  started = []
})

async function start(options: { dir?: string; redisUrl?: string }): Promise<RunningGateway> {
  const gateway = await startGateway({ policies: POLICIES, ...options })
  started.push(gateway)
  return gateway
}

/** Leaves of a running gateway what a power cut leaves: this many streams open, this many finished. */
async function killDuring(gateway: RunningGateway, streams: { open: number; finished: number }): Promise<void> {
  const token = await gateway.token()
  const ask = (body: object) => openStream({ url: gateway.url, token, body })
  const open = await Promise.all(Array.from({ length: streams.open }, () => ask(slow)))
  await Promise.all(open.map((stream) => stream.seen(1)))
  const finished = await Promise.all(Array.from({ length: streams.finished }, () => ask(quick)))
  expect(await Promise.all(finished.map((stream) => stream.ended))).toEqual(finished.map(() => 'clean'))
  await until('what has ended is settled', async () => {
    const records = await recordsOf(gateway.dataDir)
    return openIn(records).length === streams.open ? true : undefined
  })
  await gateway.kill()
  expect(await Promise.all(open.map((stream) => stream.ended))).toEqual(open.map(() => 'broken'))
}

/** Calls come in as fast as they are answered, and the kill comes after this many answers. */
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

/** Everything that can be read of a data folder and its ledger. */
async function readBooks(gateway: RunningGateway) {
  const token = await gateway.token()
  const standing = (rule: string) => standingOf(gateway.url, token, rule)
  const [dollars, tokens, places] = await Promise.all([standing('dollars'), standing('tokens'), standing('places')])
  const [report, verified, shown] = await Promise.all([
    spendOf(gateway.dataDir),
    runCli(['audit', 'verify', '--data', gateway.dataDir]),
    runCli(['ledger', 'show', '--config', gateway.configFile, '--json']),
  ])
  const records = await recordsOf(gateway.dataDir)
  const settled = records.filter((record) => record.type === 'settle')
  const crashed = settled.filter((record) => record['out'] === 'crash')
  return {
    admitted: records.filter(isAdmitted).length,
    unsettled: openIn(records).length + report.open.calls,
    settled: settled.length,
    crashed: crashed.length,
    crashedAtEstimate: crashed.filter(isAtEstimate).length,
    spent: { log: settledIn(records), ledger: nano(dollars.used), report: BigInt(report.total.nanoUsd) },
    tokens: { log: tokensIn(settled), ledger: tokens.used },
    held: { dollars: dollars.held, tokens: tokens.held, places: places.held, shown: JSON.parse(shown.stdout).holds },
    verified: verified.code,
  }
}

type Books = Awaited<ReturnType<typeof readBooks>>

function isAtEstimate(record: AuditRecord): boolean {
  const usd = membersOf(record['usd'])
  return usd['act'] === usd['est'] && record['basis'] === 'estimate_after_crash'
}

function tokensIn(settled: readonly AuditRecord[]): number {
  return settled
    .map((record) => membersOf(record['use']))
    .reduce((sum, use) => sum + Number(use['in']) + Number(use['out']), 0)
}

/** The books as they must be: whatever was spent, everybody says the same. */
function trueBooks({ spent, tokens }: Books, calls: { crashed: number; finished: number }): Books {
  const all = calls.crashed + calls.finished
  return {
    admitted: all,
    unsettled: 0,
    settled: all,
    crashed: calls.crashed,
    crashedAtEstimate: calls.crashed,
    spent: { log: spent.log, ledger: spent.log, report: spent.log },
    tokens: { log: tokens.log, ledger: tokens.log },
    held: { dollars: '0.000000000', tokens: 0, places: 0, shown: [] },
    verified: 0,
  }
}

/** Kills a gateway and starts it again on the same folder. */
async function survive(streams: { open: number; finished: number }, ledger: { redisUrl?: string }) {
  const killed = await start(ledger)
  await killDuring(killed, streams)
  return start({ dir: killed.dir, ...ledger })
}

describe('kill -9 with the memory ledger', () => {
  it('during 50 open streams: a restart settles each at its estimate, and nothing is held', async () => {
    const gateway = await survive({ open: STREAMS, finished: 0 }, {})
    const books = await readBooks(gateway)
    expect(books).toEqual(trueBooks(books, { crashed: STREAMS, finished: 0 }))
    expect(books.spent.log).toBeGreaterThan(0n)
  })

  it('with streams finished and open: the finished keep their cost, and no restart settles anything twice', async () => {
    const gateway = await survive({ open: 20, finished: 20 }, {})
    const books = await readBooks(gateway)
    expect(books).toEqual(trueBooks(books, { crashed: 20, finished: 20 }))
    const served = await post({ url: gateway.url, token: await gateway.token(), body: chat('tokens=20') })
    expect(served.status).toBe(200)
    await served.arrayBuffer()
    expect(await gateway.stop()).toBe(0)

    const again = await start({ dir: gateway.dir })
    const later = await readBooks(again)
    expect(later).toEqual(trueBooks(later, { crashed: 20, finished: 21 }))
    expect(later.spent.log).toBeGreaterThan(books.spent.log)
  })
})

describe('kill -9 with Redis', () => {
  let redis: TestRedis
  let client: Redis

  beforeEach(async () => {
    redis = await startRedis()
    client = new Redis(redis.url)
  })
  afterEach(async () => {
    client.disconnect()
    await redis.stop()
  })

  it('during 50 open streams: a restart settles each at its estimate, and no lease is left', async () => {
    const gateway = await survive({ open: STREAMS, finished: 0 }, { redisUrl: redis.url })
    const books = await readBooks(gateway)
    expect(books).toEqual(trueBooks(books, { crashed: STREAMS, finished: 0 }))
    expect(await client.keys('L:*:Z')).toEqual([])
  })

  it('in the middle of short calls: log and ledger agree on each that was settled, wherever the kill came', async () => {
    const killed = await start({ redisUrl: redis.url })
    await killAmidCalls(killed, 300)
    const gateway = await start({ dir: killed.dir, redisUrl: redis.url })
    const { unsettled, spent, tokens, held, verified } = await readBooks(gateway)
    expect({ unsettled, spent, tokens, verified }).toEqual({
      unsettled: 0,
      spent: { log: spent.log, ledger: spent.log, report: spent.log },
      tokens: { log: tokens.log, ledger: tokens.log },
      verified: 0,
    })
    // A hold without a decision on record is all that may be left: its call was given nothing, and its lease ends it.
    const decided = new Set((await recordsOf(gateway.dataDir)).filter(isAdmitted).map((record) => `${record.id}.1`))
    const left: readonly { readonly id: string }[] = held.shown
    expect(left.filter(({ id }) => decided.has(id))).toEqual([])
  })

  it('with streams finished and open: the finished keep their cost, and the other gateway goes on', async () => {
    const other = await start({ redisUrl: redis.url })
    const token = await other.token({ agent: 'elsewhere', team: 'elsewhere' })
    const stream = await openStream({ url: other.url, token, body: slow })
    await stream.seen(1)
    const gateway = await survive({ open: 20, finished: 20 }, { redisUrl: redis.url })
    const books = await readBooks(gateway)
    const { held, ...rest } = trueBooks(books, { crashed: 20, finished: 20 })
    expect(books).toMatchObject(rest)
    // The one hold that is left is the other gateway's: recovery settles nothing but its own.
    expect(books.held).toEqual({ ...held, shown: [expect.objectContaining({ id: `${stream.id}.1` })] })
    stream.leave()
  })
})
