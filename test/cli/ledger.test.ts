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
  readonly holds: readonly {
    readonly id: string
    readonly since: string
    readonly ageSeconds: number
    readonly owner: string
    readonly leaseUntil?: string
    readonly charges: readonly { readonly rule: string; readonly amount: string }[]
  }[]
  readonly moreHolds: boolean
  readonly budgets: readonly {
    readonly rule: string
    readonly key: string
    readonly settled: string
    readonly held: string
    readonly limit: string
    readonly share: number
    readonly windowEnds: string
  }[]
  readonly budgetsSeen: number
  readonly complete: boolean
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
    expect(during.holds[0]?.charges).toMatchObject([{ rule: 'purse' }])
    expect(during).toMatchObject({ moreHolds: false, budgetsSeen: 1, complete: true })
    const [purse] = during.budgets
    expect(purse).toMatchObject({ rule: 'purse', limit: '5.000000000', held: during.holds[0]?.charges[0]?.amount })
    expect(nano(purse?.settled)).toBe(spent)
    expect(nano(purse?.held)).toBeGreaterThan(0n)
    expect(purse?.share).toBeCloseTo(Number(nano(purse?.settled) + nano(purse?.held)) / 5e9, 3)
    expect(Date.parse(purse?.windowEnds ?? '')).toBeGreaterThan(Date.now())
    expect(during.holds[0]).toMatchObject({ owner: expect.stringContaining('/') })
    expect(during.holds[0]?.leaseUntil === undefined).toBe(kind === 'memory')

    await gateway.kill()
    await stream.ended
    expect((await show(gateway)).holds).toHaveLength(1)
  })

  it('is a table for people, as a process', async () => {
    const { code, stdout, stderr } = await runCli(['ledger', 'show', '--config', gateway.configFile])
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(
      /^1 open holds\nage +reservation +owner +lease until +holds\n\d+s +\S+\.1 .*purse \S+=0\.0\d+\n/,
    )
    expect(stdout).toMatch(/\n1 budgets\nused +rule +accumulator +unit +settled +held +limit +window ends\n0% +purse +/)
  })
})

describe('ledger show of a ledger that several gateways share', () => {
  it('lists what all of them hold and have settled, those with the least left first', async () => {
    const redis = await startRedis()
    const policies = policySet(`
budgets:
  - {name: user, key: [tenant, user], limit: {tokens: 3000, period: day}}
  - {name: ever, key: [tenant], limit: {tokens: 1000000, period: lifetime}}
limits:
  - {name: quota, key: [tenant], rates: [{requests: 10, window: 31d, algorithm: fixed}]}
`)
    await using first = await startGateway({ policies, redisUrl: redis.url })
    await using second = await startGateway({ policies, redisUrl: redis.url })
    const body = {
      model: 'sim-small',
      max_tokens: 500,
      messages: [{ role: 'user', content: '[[simulate tokens=500]]' }],
    }
    for (const [gateway, user] of [
      [first, 'ada'],
      [second, 'bob'],
      [second, 'ada'],
    ] as const) {
      const token = await gateway.token({ user })
      expect((await post({ url: gateway.url, token, body })).status).toBe(200)
    }
    await settledRecords([first.dataDir, second.dataDir])
    const shown = await show(first)
    expect(shown.budgets.map(({ rule }) => rule)).toEqual(['user', 'quota', 'user', 'ever'])
    expect(shown.budgets.map(({ settled }) => Number(settled))).toEqual([
      expect.any(Number),
      3,
      Number(shown.budgets[0]?.settled) / 2,
      Number(shown.budgets[0]?.settled) * 1.5,
    ])
    expect(shown).toMatchObject({ budgetsSeen: 4, complete: true })
    const elsewhere = await runHere(['ledger', 'show', '--config', first.configFile, '--data', '/nowhere', '--json'])
    expect(JSON.parse(elsewhere.stdout)).toEqual(shown)
    await redis.stop()
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
