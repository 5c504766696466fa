/** `ledger show`: who holds what now, and what is spent of each budget, from a data folder or from Redis. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nano, settledIn, settledRecords } from '../support/books.ts'
import { openStream, post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'

const POLICIES = policySet(
  'budgets: [{name: purse, key: [tenant, team], limit: {usd: "5.00", period: month}}]',
  '{latency: 0ms, tokensPerSecond: 2, outputTokens: 60}',
)

interface Shown {
  readonly ledger: string
  readonly holds: readonly { readonly id: string; readonly since: string; readonly charges: readonly object[] }[]
  readonly balances: readonly { readonly rule: string; readonly settled: string; readonly windowEnds?: string }[]
}

async function show(gateway: RunningGateway): Promise<Shown> {
  const { code, stdout, stderr } = await runHere(['ledger', 'show', '--config', gateway.configFile, '--json'])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe.each(['memory', 'redis'] as const)('ledger show on %s', (kind) => {
  let redis: TestRedis | undefined
  let gateway: RunningGateway
  let token: string

  beforeAll(async () => {
    redis = kind === 'redis' ? await startRedis() : undefined
    gateway = await startGateway({ policies: POLICIES, ...(redis && { redisUrl: redis.url }) })
    token = await gateway.token()
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await redis?.stop()
  })

  const ask = (more: object) => ({ model: 'sim-small', messages: [{ role: 'user', content: 'Hi' }], ...more })

  it('shows what is settled, and a hold for as long as its call is open', async () => {
    await (await post({ url: gateway.url, token, body: ask({ max_tokens: 1 }) })).arrayBuffer()
    const spent = settledIn(await settledRecords([gateway.dataDir]))
    const stream = await openStream({ url: gateway.url, token, body: ask({ stream: true, max_tokens: 60 }) })
    await stream.seen(1)

    const during = await show(gateway)
    expect(during.ledger).toBe(kind)
    expect(during.holds.map(({ id }) => id)).toEqual([`${stream.id}.1`])
    expect(Math.abs(Date.now() - Date.parse(during.holds[0]?.since ?? ''))).toBeLessThan(60_000)
    expect(during.holds[0]?.charges).toHaveLength(1)
    expect(during.balances.map(({ rule, settled }) => [rule, nano(settled)])).toEqual([['purse', spent]])
    expect(Date.parse(during.balances[0]?.windowEnds ?? '')).toBeGreaterThan(Date.now())

    await gateway.kill()
    await stream.ended
    expect((await show(gateway)).holds).toHaveLength(1)
  })

  it('is a table for people, as a process', async () => {
    const { code, stdout, stderr } = await runCli(['ledger', 'show', '--config', gateway.configFile])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^1 open holds\nsince +reservation +holds\n/)
    expect(stdout).toMatch(/\n1 balances\nrule +accumulator +unit +settled +window ends\npurse +/)
  })
})

describe('ledger show', () => {
  it('ends with 3 in bounded time when Redis is away', async () => {
    const redis = await startRedis()
    await using gateway = await startGateway({ policies: POLICIES, redisUrl: redis.url })
    await gateway.stop()
    await redis.stop()
    const { code, stdout, stderr } = await runHere(['ledger', 'show', '--config', gateway.configFile])
    expect({ code, stdout }).toEqual({ code: 3, stdout: '' })
    expect(stderr).toContain('error: ')
  })
})
