/**
 * Gateways that go on within their shares while Redis is away: what callers get meanwhile, and what Redis has afterwards.
 */
import { describe, expect, it } from 'vitest'
import { isAdmitted, openIn, settledIn, settledRecords, spendOf, standingOf } from '../support/books.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { chat, openStream, post } from '../support/calls.ts'
import { startFaultProxy } from '../support/fault-proxy.ts'
import type { FaultProxy } from '../support/fault-proxy.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { untilNotReady, untilReady } from '../support/readiness.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

/** What a gateway waits for Redis when nothing is said. */
const AS_SHIPPED_MS = 100

const POLICY = policySet(`
on_ledger_error: local
limits:
  - {name: quota, match: {agent: counted}, key: [tenant, agent], rates: [{requests: 10, window: 31d, algorithm: fixed}]}
  - {name: places, match: {agent: placed}, key: [tenant, agent], concurrent: 10}
budgets:
  - {name: purse, match: {agent: spender}, key: [tenant, agent], limit: {tokens: 1000, period: lifetime}}
  - {name: strict, match: {agent: strict}, key: [tenant, agent], limit: {tokens: 100000, period: lifetime}, on_ledger_error: closed}
  - {name: lenient, match: {agent: strict}, key: [tenant, agent], limit: {tokens: 100000, period: lifetime}}
`)

interface Nodes extends AsyncDisposable {
  readonly server: TestRedis
  readonly proxy: FaultProxy
  readonly gateways: readonly RunningGateway[]
}

/** Gateways that know of each other, on one Redis. */
async function startNodes(count: number): Promise<Nodes> {
  const parts = new AsyncDisposableStack()
  const server = parts.use(await startRedis())
  const proxy = parts.use(await startFaultProxy(server.port))
  const redisUrl = `redis://127.0.0.1:${proxy.port}`
  const gateways: RunningGateway[] = []
  // The last one to start knows of all; a first one that is started again does, too.
  for (let node = 0; node < count; node += 1)
    gateways.push(parts.use(await startGateway({ policies: POLICY, redisUrl, commandTimeoutMs: AS_SHIPPED_MS })))
  for (const gateway of gateways.slice(0, -1)) await untilHeard(gateway, count)
  return { server, proxy, gateways, [Symbol.asyncDispose]: () => parts.disposeAsync() }
}

async function untilHeard(gateway: RunningGateway, nodes: number): Promise<void> {
  await until('a gateway knows of the others', async () => {
    const text = await (await fetch(`${gateway.url}/metrics`)).text()
    return text.includes(`tollgate_ledger_nodes ${nodes}\n`) ? true : undefined
  })
}

/** 60 tokens at the most are held for it, and it uses fewer. */
const ask = (gateway: RunningGateway, token: string) =>
  post({ url: gateway.url, token, body: chat('tokens=10', { max_tokens: 20 }) })

async function admittedOf(gateway: RunningGateway, token: string, calls: number): Promise<readonly Response[]> {
  const answers: Response[] = []
  for (let call = 0; call < calls; call += 1) answers.push(await ask(gateway, token))
  return answers.filter((answer) => answer.status === 200)
}

async function untilAnswered(gateway: RunningGateway, token: string): Promise<void> {
  await until('a call is answered', async () => ((await ask(gateway, token)).status === 200 ? true : undefined))
}

const tokensIn = (records: Awaited<ReturnType<typeof settledRecords>>) =>
  records
    .filter((record) => record.type === 'settle')
    .map((record) => membersOf(record['use']))
    .reduce((sum, use) => sum + Number(use['in']) + Number(use['out']), 0)

describe('two gateways while Redis is away', () => {
  it('give half of a quota each, say so, and Redis has every call once when it is back', async () => {
    await using nodes = await startNodes(2)
    const { gateways, proxy } = nodes
    const tokens = await Promise.all(gateways.map((gateway) => gateway.token({ agent: 'counted' })))
    await proxy.refuse()
    for (const gateway of gateways) await untilNotReady(gateway.url)
    for (const [index, gateway] of gateways.entries()) {
      const admitted = await admittedOf(gateway, tokens[index] ?? '', 12)
      expect(admitted).toHaveLength(5)
      expect(admitted.map((answer) => answer.headers.get('x-tollgate-ledger'))).toEqual(admitted.map(() => 'local'))
      const refused = await ask(gateway, tokens[index] ?? '')
      expect(refused.status).toBe(503)
      expect(await refused.text()).toContain('what this gateway may give of quota meanwhile is used up')
    }
    const records = await settledRecords(gateways.map((gateway) => gateway.dataDir))
    expect(records.filter(isAdmitted).map((record) => membersOf(record['dec'])['local'])).toEqual(Array(10).fill(true))

    await proxy.heal()
    for (const gateway of gateways) await untilReady(gateway.url)
    const [gateway, token] = [gateways[0], tokens[0]]
    if (gateway === undefined || token === undefined) throw new Error('no gateway runs')
    await until('Redis has all calls', async () => {
      const { used, held } = await standingOf(gateway.url, token, 'quota')
      return used === 10 && held === 0 ? true : undefined
    })
    expect((await ask(gateway, token)).status).toBe(429)
  })

  it('give half of what was left of a budget each, and nothing of one that they never saw', async () => {
    await using nodes = await startNodes(2)
    const { gateways, proxy } = nodes
    const caller = { agent: 'spender' }
    for (const gateway of gateways) await untilAnswered(gateway, await gateway.token(caller))
    await proxy.refuse()
    for (const gateway of gateways) await untilNotReady(gateway.url)
    const admitted = await Promise.all(
      gateways.map(async (gateway) => admittedOf(gateway, await gateway.token(caller), 40)),
    )
    for (const answers of admitted) {
      expect(answers.length).toBeGreaterThan(3)
      expect(answers.length).toBeLessThan(40)
    }
    const [gateway] = gateways
    if (gateway === undefined) throw new Error('no gateway runs')
    const stranger = await gateway.token({ agent: 'spender', tenant: 'unseen' })
    expect((await ask(gateway, stranger)).status).toBe(503)

    await proxy.heal()
    for (const each of gateways) await untilReady(each.url)
    const records = await settledRecords(gateways.map((each) => each.dataDir))
    expect(tokensIn(records)).toBeLessThanOrEqual(1_000)
    const token = await gateway.token(caller)
    await until('Redis has what was spent', async () => {
      const { used, held } = await standingOf(gateway.url, token, 'purse')
      return used === tokensIn(records) && held === 0 ? true : undefined
    })
    const reports = await Promise.all(gateways.map((each) => spendOf(each.dataDir)))
    expect(reports.reduce((sum, report) => sum + BigInt(report.total.nanoUsd), 0n)).toBe(settledIn(records))
    expect(openIn(records)).toEqual([])
  })
})

describe('a gateway that is killed while Redis is away', () => {
  it.each([false, true])(
    'posts what it decided alone when it starts again, once (posted before: %s)',
    async (isPosted) => {
      await using nodes = await startNodes(1)
      const { proxy, gateways } = nodes
      const [first] = gateways
      if (first === undefined) throw new Error('no gateway runs')
      const token = await first.token({ agent: 'spender' })
      await untilAnswered(first, token)
      await proxy.refuse()
      await untilNotReady(first.url)
      expect(await admittedOf(first, token, 3)).toHaveLength(3)
      // This one has no settlement when the process dies: it is closed at its bound.
      const body = chat('tokens=8 speed=1', { stream: true, max_tokens: 9 })
      const stream = await openStream({ url: first.url, token, body })
      await stream.seen(1)
      if (isPosted) {
        await proxy.heal()
        await until('Redis has what was settled', async () => {
          const metrics = await (await fetch(`${first.url}/metrics`)).text()
          return metrics.includes('tollgate_inflight_calls 1\n') ? true : undefined
        })
      }
      await first.kill()
      await proxy.heal()
      for (let start = 0; start < 2; start += 1) {
        const redisUrl = `redis://127.0.0.1:${proxy.port}`
        await using again = await startGateway({
          policies: POLICY,
          redisUrl,
          dir: first.dir,
          commandTimeoutMs: AS_SHIPPED_MS,
        })
        const records = await settledRecords([again.dataDir])
        expect(openIn(records)).toEqual([])
        await until('log and ledger agree', async () => {
          const { used, held } = await standingOf(again.url, token, 'purse')
          return used === tokensIn(records) && held === 0 ? true : undefined
        })
        await again.kill()
      }
    },
  )
})

describe('one gateway while Redis is away', () => {
  it('keeps a call closed when one of its rules is', async () => {
    await using nodes = await startNodes(1)
    const [gateway] = nodes.gateways
    if (gateway === undefined) throw new Error('no gateway runs')
    const token = await gateway.token({ agent: 'strict' })
    await untilAnswered(gateway, token)
    await nodes.proxy.refuse()
    await untilNotReady(gateway.url)
    expect(await admittedOf(gateway, token, 5)).toEqual([])
  })

  it('gives places as calls end, as many as the limit has at a time', async () => {
    await using nodes = await startNodes(1)
    const [gateway] = nodes.gateways
    if (gateway === undefined) throw new Error('no gateway runs')
    const token = await gateway.token({ agent: 'placed' })
    await nodes.proxy.refuse()
    await untilNotReady(gateway.url)
    const storm = await Promise.all(
      Array.from({ length: 30 }, () => post({ url: gateway.url, token, body: chat('latency=800 tokens=5') })),
    )
    expect(storm.filter((answer) => answer.status === 200)).toHaveLength(10)
    expect(await admittedOf(gateway, token, 20)).toHaveLength(20)
    await nodes.proxy.heal()
    await untilReady(gateway.url)
    await until('no place is taken', async () => {
      const { held } = await standingOf(gateway.url, token, 'places')
      return held === 0 ? true : undefined
    })
  })
})
