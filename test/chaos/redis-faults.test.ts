/**
 * A Redis that fails under a gateway, in each way that it can: what callers see meanwhile, and the sums when it is over.
 */
import { Redis } from 'ioredis'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'
import { nano, openIn, settledIn, settledRecords, spendOf, standingOf } from '../support/books.ts'
import { chat, openStream, post } from '../support/calls.ts'
import type { OpenStream } from '../support/calls.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { probesOf, untilNotReady, untilReady } from '../support/readiness.ts'
import { startRedis } from '../support/redis-server.ts'
import { readRefusal } from '../support/refusals.ts'
import { until } from '../support/until.ts'

/** What a gateway waits for Redis when nothing is said. */
const AS_SHIPPED_MS = 100

const PASSWORD = 'canary-password'
const RULE = 'purse'
const POLICY = policySet(
  `
limits:
  - {name: pace, key: [tenant], rates: [{requests: 100000, window: 1m}], concurrent: 500}
budgets:
  - {name: ${RULE}, key: [tenant], limit: {usd: "1000.00", period: lifetime}}
`,
  '{latency: 0ms, tokensPerSecond: 200}',
)

/** Calls during a fault: many times what opens the breaker. */
const CALLS = 60

/** Rounds of calls whose answers are cut. */
const ROUNDS = 8

/** Lines that an outage may add to the log: a few kinds, each once in five seconds, for as long as these tests take. */
const LINES_MAX = 60

interface Fault {
  readonly name: string
  /** What `/readyz` says of it. */
  readonly reasons: RegExp
  readonly begin: (proxy: FaultProxy, operator: Redis) => unknown
  readonly end: (proxy: FaultProxy, operator: Redis) => unknown
}

const heal = (proxy: FaultProxy) => proxy.heal()

const FAULTS: readonly Fault[] = [
  {
    name: 'that is paused',
    reasons: /timeout/,
    begin: (_, operator) => operator.call('CLIENT', 'PAUSE', '6000', 'ALL'),
    end: () => undefined,
  },
  { name: 'that is 200 ms away', reasons: /timeout/, begin: (proxy) => proxy.delay(100), end: heal },
  { name: 'whose network is still', reasons: /timeout/, begin: (proxy) => proxy.pause(), end: heal },
  {
    name: 'that refuses connections',
    reasons: /connection_(refused|lost)/,
    begin: (proxy) => proxy.refuse(),
    end: heal,
  },
  {
    name: 'that is out of memory',
    reasons: /out_of_memory/,
    begin: (_, operator) => operator.config('SET', 'maxmemory', '1'),
    end: (_, operator) => operator.config('SET', 'maxmemory', '0'),
  },
  {
    name: 'that became a replica',
    reasons: /read_only/,
    begin: (_, operator) => operator.replicaof('127.0.0.1', '1'),
    end: (_, operator) => operator.replicaof('NO', 'ONE'),
  },
  {
    name: 'that lacks its replicas',
    reasons: /no_replicas/,
    begin: (_, operator) => operator.config('SET', 'min-replicas-to-write', '1'),
    end: (_, operator) => operator.config('SET', 'min-replicas-to-write', '0'),
  },
]

const call = async (gateway: RunningGateway, token: string, path?: string) =>
  post({ url: gateway.url, token, body: chat('tokens=5', { max_tokens: 20 }), ...(path && { path }) })

/** A store that has just been found, on a machine under load, may be late once more: the next call gets through. */
async function untilAnswered(gateway: RunningGateway, token: string): Promise<void> {
  await until('a call is answered', async () => ((await call(gateway, token)).status === 200 ? true : undefined))
}

async function untilStreaming(gateway: RunningGateway, token: string, directives: string): Promise<OpenStream> {
  return until('a stream is open', async () => {
    const stream = await openStream({ url: gateway.url, token, body: chat(directives, { stream: true }) })
    return stream.status === 200 ? stream : undefined
  })
}

/** Every refusal is of the vendor's shape, may be tried again soon, and tells no secret. */
async function expectAway(response: Response, family: 'openai' | 'anthropic'): Promise<void> {
  expect(response.status).toBe(503)
  expect(Number(response.headers.get('retry-after'))).toBeGreaterThan(0)
  expect(Number(response.headers.get('retry-after'))).toBeLessThanOrEqual(5)
  const refusal = await readRefusal(response, family)
  expect(refusal.message).toMatch(/^Limits and budgets cannot be checked right now: .*Try again shortly\.$/)
  expect(refusal.message).not.toMatch(new RegExp(`${PASSWORD}|127\\.0\\.0\\.1|@user_script`))
}

/** Log, ledger and report say the same, and nothing is held. */
async function expectExactBooks(gateway: RunningGateway, token: string): Promise<bigint> {
  const records = await settledRecords([gateway.dataDir])
  const spent = settledIn(records)
  const standing = await until('nothing is held', async () => {
    const found = await standingOf(gateway.url, token, RULE)
    return nano(found.held) === 0n ? found : undefined
  })
  expect(nano(standing.used)).toBe(spent)
  expect(BigInt((await spendOf(gateway.dataDir)).total.nanoUsd)).toBe(spent)
  expect(openIn(records)).toEqual([])
  return spent
}

describe.each(FAULTS)('a Redis $name', ({ reasons, begin, end }) => {
  it('means bounded 503s, a gateway that lives and is not ready, few lines, and exact sums afterwards', async () => {
    await using server = await startRedis({ args: ['--requirepass', PASSWORD] })
    await using proxy = await startFaultProxy(server.port)
    const operator = new Redis({ port: server.port, host: '127.0.0.1', password: PASSWORD })
    const redisUrl = `redis://:${PASSWORD}@127.0.0.1:${proxy.port}`
    await using gateway = await startGateway({ policies: POLICY, redisUrl, commandTimeoutMs: AS_SHIPPED_MS })
    const token = await gateway.token()
    await untilAnswered(gateway, token)

    // This one is admitted before and ends during the fault.
    const stream = await untilStreaming(gateway, token, 'tokens=200')
    await stream.seen(3)
    const linesBefore = gateway.log().split('\n').length
    await begin(proxy, operator)
    expect(await untilNotReady(gateway.url)).toMatch(reasons)
    const answers = await Promise.all(
      Array.from({ length: CALLS }, (_, index) => call(gateway, token, index % 2 === 0 ? undefined : '/v1/messages')),
    )
    for (const [index, answer] of answers.entries()) await expectAway(answer, index % 2 === 0 ? 'openai' : 'anthropic')
    const client = new OpenAI({ baseURL: `${gateway.url}/v1`, apiKey: token, maxRetries: 0 })
    const asked = client.chat.completions.create({ model: 'sim-small', messages: [{ role: 'user', content: 'Hi' }] })
    await expect(asked).rejects.toMatchObject({ status: 503, code: 'policy_unavailable' })
    expect(await probesOf(gateway.url)).toMatchObject({ live: 200, ready: 503 })
    expect(await stream.ended).toBe('clean')

    await end(proxy, operator)
    await untilReady(gateway.url)
    expect(gateway.log().split('\n').length - linesBefore).toBeLessThan(LINES_MAX)
    expect(gateway.log()).not.toContain(PASSWORD)
    await untilAnswered(gateway, token)
    expect(await expectExactBooks(gateway, token)).toBeGreaterThan(0n)
    operator.disconnect()
  })
})

describe('answers of Redis that break off', () => {
  it.each([0, 1, 7])(
    'after %i bytes: each call is answered or refused, and charged once or not at all',
    async (bytes) => {
      await using server = await startRedis()
      await using proxy = await startFaultProxy(server.port)
      await using gateway = await startGateway({
        policies: POLICY,
        redisUrl: `redis://127.0.0.1:${proxy.port}`,
        commandTimeoutMs: AS_SHIPPED_MS,
      })
      const token = await gateway.token()
      const statuses: number[] = []
      for (let round = 0; round < ROUNDS; round += 1) {
        await untilReady(gateway.url)
        // Reserves and settlements are cut in turn, one or several in a row.
        proxy.cutAnswers(1 + (round % 3), bytes)
        const answers = await Promise.all(Array.from({ length: 4 }, () => call(gateway, token)))
        statuses.push(...answers.map((answer) => answer.status))
      }
      await proxy.heal()
      await untilReady(gateway.url)
      expect(new Set(statuses)).toEqual(new Set([200, 503]))
      expect(proxy.lost()).toBeGreaterThanOrEqual(ROUNDS)
      await expectExactBooks(gateway, token)
    },
  )

  it('to settlements, several in a row: the call is charged once', async () => {
    await using server = await startRedis()
    await using proxy = await startFaultProxy(server.port)
    await using gateway = await startGateway({
      policies: POLICY,
      redisUrl: `redis://127.0.0.1:${proxy.port}`,
      commandTimeoutMs: AS_SHIPPED_MS,
    })
    const token = await gateway.token()
    for (const times of [1, 2, 3]) {
      await untilReady(gateway.url)
      const stream = await untilStreaming(gateway, token, 'tokens=40')
      await stream.seen(3)
      const before = proxy.lost()
      proxy.cutAnswers(times, 4)
      expect(await stream.ended).toBe('clean')
      await until('the answers are cut', async () => (proxy.lost() >= before + times ? true : undefined))
    }
    await proxy.heal()
    await untilReady(gateway.url)
    await expectExactBooks(gateway, token)
  })
})
