import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { recordsOf, settledRecords } from '../support/books.ts'
import { chat, openStream, post } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

/**
 * Every kind of counter has room for these callers, before and behind the one rule that has none. They are slow to drain,
 * so that none ends by itself between two looks.
 */
const RULES = `
limits:
  - name: roomy
    key: [tenant, agent, user]
    rates:
      - {requests: 100, window: 31d, burst: 100}
      - {requests: 1000, window: 31d, algorithm: fixed}
      - {tokens: 1000000, window: 1h}
    concurrent: 100
  - name: once
    match: {agent: hasty}
    key: [tenant, agent]
    rates: [{requests: 1, window: 31d, burst: 1}]
  - name: single-file
    match: {agent: parallel}
    key: [tenant, agent]
    concurrent: 1
  - name: by-lane
    match: {agent: laneless}
    key: [tenant, lane]
    concurrent: 5
  - name: small-window
    match: {agent: sliding}
    key: [tenant, agent]
    rates: [{tokens: 150, window: 24h}]
  - name: small-fixed
    match: {agent: fixed}
    key: [tenant, agent]
    rates: [{requests: 1, window: 31d, algorithm: fixed}]
budgets:
  - name: roomy-month
    key: [tenant, team]
    limit: {usd: "1000.00", period: month}
  - name: penniless
    match: {agent: penniless}
    key: [tenant, agent]
    limit: {usd: "0.000000001", period: lifetime}
  - name: spent
    match: {agent: spent}
    key: [tenant, agent]
    limit: {tokens: 260, period: lifetime}
`

let redis: TestRedis
let client: Redis
let gateway: RunningGateway

beforeAll(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  gateway = await startGateway({ policies: policySet(RULES), redisUrl: redis.url })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  client.disconnect()
  await redis.stop()
})

/** Every key with its bytes and the instant at which it ends. */
async function contents(): Promise<ReadonlyMap<string, string>> {
  // What a gateway wrote is followed, within a second, by its mark of when that was.
  const keys = (await client.keys('*')).filter((key) => !key.endsWith('}:N')).toSorted((a, b) => (a < b ? -1 : 1))
  const entries = keys.map(async (key): Promise<[string, string]> => {
    const [bytes, endsAt] = await Promise.all([client.dumpBuffer(key), client.pexpiretime(key)])
    return [key, `${bytes?.toString('hex')} ends ${endsAt}`]
  })
  return new Map(await Promise.all(entries))
}

/** The reaper asks the shards in so many scripts; the look at the store's epoch, once a second, is one more. */
const SCRIPTS_PER_WALK = 8

/** Scripts run since the server started; the reaper runs some every second. */
async function scriptsRun(): Promise<number> {
  const stats = await client.info('commandstats')
  return Number(/cmdstat_evalsha:calls=(\d+)/.exec(stats)?.[1] ?? 0)
}

/** Waits until the gateway has looked for overdue holds twice more: once from before, once from after the refusals. */
async function reaperHasRun(): Promise<void> {
  const before = await scriptsRun()
  await until('the reaper has run', async () =>
    (await scriptsRun()) >= before + SCRIPTS_PER_WALK * 3 ? true : undefined,
  )
}

/** Waits until what Redis remembered for a log that was not written yet is gone: the last trace of calls that were admitted. */
async function notesAreReleased(): Promise<void> {
  await until('the notes of settlements are released', async () => {
    const records = await Promise.all((await client.keys('L:*:R:*')).map((key) => client.get(key)))
    return records.every((record) => record === null || record === 'S' || !record.startsWith('S')) ? true : undefined
  })
}

interface Refused {
  readonly agent: string
  readonly status: number
  readonly code: string
  readonly rule: string
}

async function ask(agent: string, directives = 'tokens=20', more: object = { max_tokens: 40 }) {
  const token = await gateway.token({ agent })
  return post({ url: gateway.url, token, body: chat(directives, more) })
}

/** Refuses a caller three times and says what changed in Redis. */
async function refuseThrice({ agent, status, code, rule }: Refused) {
  await notesAreReleased()
  const before = await contents()
  for (let time = 0; time < 3; time += 1) {
    const response = await ask(agent)
    expect(response.status).toBe(status)
    const { error } = JSON.parse(await response.text())
    expect(error).toMatchObject({ code })
    expect(response.headers.get('tollgate-receipt')).toBeTruthy()
  }
  const records = await recordsOf(gateway.dataDir, { agent, outcome: 'refuse' })
  expect(records).toHaveLength(3)
  expect(JSON.stringify(records[0]?.['dec'])).toContain(rule)
  return { before, after: await contents() }
}

describe('a refused call leaves Redis byte for byte as it was, times to live included', () => {
  it.each([
    { agent: 'penniless', status: 429, code: 'insufficient_quota', rule: 'penniless' },
    { agent: 'laneless', status: 403, code: 'identity_incomplete', rule: 'lane' },
  ])('when it can never be admitted: $code', async (refused) => {
    const { before, after } = await refuseThrice(refused)
    expect(after).toEqual(before)
  })

  it.each([
    { agent: 'hasty', status: 429, code: 'rate_limit_exceeded', rule: 'once' },
    { agent: 'spent', status: 429, code: 'insufficient_quota', rule: 'spent' },
    { agent: 'sliding', status: 429, code: 'rate_limit_exceeded', rule: 'small-window' },
    { agent: 'fixed', status: 429, code: 'rate_limit_exceeded', rule: 'small-fixed' },
  ])('when an earlier call of $agent has used its limit up', async (refused) => {
    const directives = refused.agent === 'sliding' || refused.agent === 'spent' ? 'tokens=150' : 'tokens=20'
    const first = await ask(refused.agent, directives, { max_tokens: 100 })
    expect(first.status).toBe(200)
    await first.arrayBuffer()
    await settledRecords([gateway.dataDir])
    const { before, after } = await refuseThrice(refused)
    expect(before.size).toBeGreaterThan(5)
    expect(after).toEqual(before)
  })

  it('when a call of its own is in flight, also after the look for overdue holds', async () => {
    const token = await gateway.token({ agent: 'parallel' })
    const body = chat('tokens=2000 speed=20', { stream: true })
    const stream = await openStream({ url: gateway.url, token, body })
    await stream.seen(1)
    const refused = { agent: 'parallel', status: 429, code: 'rate_limit_exceeded', rule: 'single-file' }
    const { before, after } = await refuseThrice(refused)
    expect(after).toEqual(before)
    await reaperHasRun()
    expect(await contents()).toEqual(before)
    stream.leave()
  })
})

it('an admitted call does change what is compared here', async () => {
  const before = await contents()
  const response = await ask('anybody')
  expect(response.status).toBe(200)
  await response.arrayBuffer()
  expect(await contents()).not.toEqual(before)
})
