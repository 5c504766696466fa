import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openaiChat } from '../../src/dialects/openai-chat.ts'
import { loadPrices } from '../../src/adapters/files/pricing.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import type { Estimate } from '../../src/domain/prices/estimate.ts'
import { formatUsd, toNanoUsd } from '../../src/domain/prices/money.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import type { AuditRecord } from '../../src/domain/audit/audit-record.ts'
import { estimate } from '../../src/steps/estimate.ts'
import { isAdmitted, nano, recordsOf, settledIn, settledRecords, spendOf, standingOf } from '../support/books.ts'
import { post } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import type { TestCluster } from '../support/redis-cluster.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'

const CALLS = 200
const FITTING = 7

/**
 * The output is so long that what seven calls leave of their bounds (some input) is less than one more call may take, and
 * the simulator always writes the whole maximum: seven fit at any speed, whether the others come before or after a
 * settlement.
 */
const ASK = {
  model: 'sim-expensive',
  max_tokens: 2_000,
  messages: [{ role: 'user', content: '[[simulate tokens=2000]]' }],
}

/** What the gateway must bound this call by, worked out with its own step. */
async function boundOf(ask: object): Promise<Estimate> {
  const loaded = await loadPrices(['pricing'], { nowMs: Date.now() })
  const parsed = openaiChat.parse(Buffer.from(JSON.stringify(ask)))
  if (loaded.kind === 'invalid' || parsed.kind === 'invalid') throw new Error('the prices or the request are faulty')
  const price = loaded.table.find('simulator', parsed.ask.model)
  if (price === undefined) throw new Error('the simulated model has no price')
  const limits = { outputTokensMax: undefined, nowMs: Date.now() }
  const bound = estimate(parsed.ask, price, limits, { calibration: new Calibration() })
  if (bound.kind === 'refused') throw new Error(bound.message)
  return bound
}

/** Room for exactly seven byte bounds, for exactly one, and for one but for a nano-dollar, which only counting can find. */
async function rules(): Promise<string> {
  const bound = await boundOf(ASK)
  const usd = (amount: bigint) => formatUsd(toNanoUsd(amount))
  const tokens = bound.inputTokens.upper + bound.outputTokens.upper
  return `
limits:
  - name: seven-calls
    match: {agent: counted}
    key: [tenant, agent]
    rates: [{requests: ${FITTING}, window: 31d, algorithm: fixed}]
budgets:
  - name: seven-of-dollars
    match: {agent: dollars}
    key: [tenant, agent]
    limit: {usd: "${usd(bound.cost.upper * BigInt(FITTING))}", period: lifetime}
  - name: seven-of-tokens
    match: {agent: tokens}
    key: [tenant, agent]
    limit: {tokens: ${tokens * FITTING}, period: lifetime}
  - name: one
    match: {agent: one}
    key: [tenant, agent]
    limit: {usd: "${usd(bound.cost.upper)}", period: lifetime}
  - name: almost-one
    match: {agent: almost}
    key: [tenant, agent]
    limit: {usd: "${usd(bound.cost.upper - 1n)}", period: lifetime}
  - name: newcomer
    match: {team: newcomers}
    key: [tenant, team, user]
    limit: {usd: "${usd(bound.cost.upper * 3n)}", period: lifetime}
`
}

/** All calls at once, spread evenly over the gateways; their statuses. */
async function storm(gateways: readonly RunningGateway[], caller: object, calls: number): Promise<readonly number[]> {
  const tokens = await Promise.all(gateways.map((gateway) => gateway.token(caller)))
  return Promise.all(
    Array.from({ length: calls }, async (_, index) => {
      const turn = index % gateways.length
      const response = await post({ url: gateways[turn]?.url ?? '', token: tokens[turn] ?? '', body: ASK })
      await response.arrayBuffer()
      return response.status
    }),
  )
}

function tally(statuses: readonly number[]): Readonly<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const status of statuses) found[status] = (found[status] ?? 0) + 1
  return found
}

function tokensOf(records: readonly AuditRecord[]): number {
  return records
    .filter((record) => record.type === 'settle')
    .map((record) => membersOf(record['use']))
    .reduce((sum, use) => sum + Number(use['in']) + Number(use['out']), 0)
}

function holdsBudgets(gateways: () => readonly RunningGateway[]): void {
  const dataDirs = () => gateways().map((gateway) => gateway.dataDir)

  async function standing(agent: string, rule: string) {
    const [gateway] = gateways()
    if (gateway === undefined) throw new Error('no gateway runs')
    return standingOf(gateway.url, await gateway.token({ agent }), rule)
  }

  it('200 concurrent calls: 7 admitted, and log, ledger and report agree to the nano-dollar', async () => {
    const agent = 'dollars'
    const statuses = await storm(gateways(), { agent }, CALLS)
    expect(tally(statuses)).toEqual({ 200: FITTING, 429: CALLS - FITTING })

    const records = await settledRecords(dataDirs(), { agent })
    expect(records.filter(isAdmitted)).toHaveLength(FITTING)
    expect(records.filter((record) => membersOf(record['dec'])['out'] === 'refuse')).toHaveLength(CALLS - FITTING)
    const spent = settledIn(records)
    const ledger = await standing(agent, 'seven-of-dollars')
    expect(nano(ledger.used)).toBe(spent)
    expect(nano(ledger.held)).toBe(0n)
    const reports = await Promise.all(dataDirs().map(spendOf))
    const rows = reports.flatMap((report) => report.rows.filter((row) => row.agent === agent))
    expect(rows.reduce((sum, row) => sum + BigInt(row.nanoUsd), 0n)).toBe(spent)
    expect(spent).toBeLessThanOrEqual(nano(ledger.limit))
    expect(spent).toBeGreaterThan(0n)
  })

  it('200 concurrent calls on a token budget: 7 admitted, and the ledger has the tokens of the log', async () => {
    const statuses = await storm(gateways(), { agent: 'tokens' }, CALLS)
    expect(tally(statuses)).toEqual({ 200: FITTING, 429: CALLS - FITTING })
    const records = await settledRecords(dataDirs(), { agent: 'tokens' })
    expect(await standing('tokens', 'seven-of-tokens')).toMatchObject({ used: tokensOf(records), held: 0 })
  })

  it('200 concurrent calls on a fixed window of 7 requests: 7 admitted and counted', async () => {
    const statuses = await storm(gateways(), { agent: 'counted' }, CALLS)
    expect(tally(statuses)).toEqual({ 200: FITTING, 429: CALLS - FITTING })
    await settledRecords(dataDirs(), { agent: 'counted' })
    expect(await standing('counted', 'seven-calls')).toMatchObject({ used: FITTING, held: 0 })
  })

  it('8 concurrent first calls of a subject never seen: as many admitted as fit', async () => {
    for (const user of ['first', 'second', 'third']) {
      const statuses = await storm(gateways(), { team: 'newcomers', agent: 'any', user }, 8)
      expect(tally(statuses)).toEqual({ 200: 3, 429: 5 })
    }
  })

  it.each([
    ['one', 'bytes'],
    ['almost', 'tokenizer'],
  ])('a budget of one call (%s) admits one of 8, bounded by its %s', async (agent, basis) => {
    expect(tally(await storm(gateways(), { agent }, 8))).toEqual({ 200: 1, 429: 7 })
    const records = await settledRecords(dataDirs(), { agent })
    expect(records.filter(isAdmitted).map((record) => membersOf(record['est'])['basis'])).toEqual([basis])
  })

  it('the whole report is the whole log', async () => {
    const records = await settledRecords(dataDirs())
    const reports = await Promise.all(dataDirs().map(spendOf))
    expect(reports.reduce((sum, report) => sum + BigInt(report.total.nanoUsd), 0n)).toBe(settledIn(records))
    expect(reports.every((report) => report.open.calls === 0)).toBe(true)
  })
}

describe('one gateway on the memory ledger', () => {
  let gateway: RunningGateway

  beforeAll(async () => {
    gateway = await startGateway({ policies: policySet(await rules()) })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
  })

  holdsBudgets(() => [gateway])

  it('gives a restarted gateway its budgets back', async () => {
    const before = await standingOf(gateway.url, await gateway.token({ agent: 'dollars' }), 'seven-of-dollars')
    expect(await gateway.stop()).toBe(0)
    await using again = await startGateway({ policies: policySet(await rules()), dir: gateway.dir })
    const token = await again.token({ agent: 'dollars' })
    expect(await standingOf(again.url, token, 'seven-of-dollars')).toEqual(before)
    expect((await post({ url: again.url, token, body: ASK })).status).toBe(429)
    const records = await recordsOf(again.dataDir, { agent: 'dollars' })
    expect(records.filter(isAdmitted)).toHaveLength(FITTING)
  })
})

describe('two gateways on one Redis', () => {
  let redis: TestRedis
  let gateways: readonly RunningGateway[]

  beforeAll(async () => {
    redis = await startRedis()
    const policies = policySet(await rules())
    gateways = await Promise.all([1, 2].map(() => startGateway({ policies, redisUrl: redis.url })))
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
    await redis.stop()
  })

  holdsBudgets(() => gateways)
})

describe('two gateways on one Redis Cluster', () => {
  let cluster: TestCluster
  let gateways: readonly RunningGateway[]

  /** In shards of their own, so that a decision has several parts. */
  const EVERYBODY = `  - {name: all-of-a-team, key: [team], limit: {usd: "1000000", period: month}}
  - {name: all-of-an-agent, key: [agent], limit: {tokens: 1000000000, period: day}}
`

  beforeAll(async () => {
    cluster = await startRedisCluster()
    const policies = policySet(`${(await rules()).trimEnd()}\n${EVERYBODY}`)
    const clusterNodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`)
    gateways = await Promise.all([1, 2].map(() => startGateway({ policies, clusterNodes })))
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
    await cluster.stop()
  })

  holdsBudgets(() => gateways)
})

describe('a budget too small for the bytes of a call', () => {
  const words = 'The quick brown fox jumps over the lazy dog. '.repeat(60)
  const ask = (text: string) => ({
    model: 'sim-small',
    max_tokens: 100,
    messages: [{ role: 'user', content: `${text} [[simulate tokens=20]]` }],
  })
  const POLICY = policySet(`
budgets:
  - name: tight
    match: {agent: tight}
    key: [tenant, user]
    limit: {tokens: 1500, period: lifetime}
`)
  let gateway: RunningGateway

  beforeAll(async () => {
    gateway = await startGateway({ policies: POLICY })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
  })

  async function decide(user: string, text: string) {
    const token = await gateway.token({ agent: 'tight', user })
    const response = await post({ url: gateway.url, token, body: ask(text) })
    const id = response.headers.get('x-request-id') ?? ''
    const [decision] = await recordsOf(gateway.dataDir, { types: ['decision'], id })
    return { status: response.status, out: membersOf(decision?.['dec'])['out'], est: membersOf(decision?.['est']) }
  }

  it('admits it when its tokens fit, and the record says that they were counted', async () => {
    const { status, out, est } = await decide('prose', words)
    expect({ status, out }).toEqual({ status: 200, out: 'admit' })
    expect(est['basis']).toBe('tokenizer')
    expect(Number(est['in']) + Number(est['out'])).toBeLessThanOrEqual(1_500)
    expect(Buffer.byteLength(words)).toBeGreaterThan(1_500)
  })

  it('runs no tokenizer when the bytes fit', async () => {
    expect(await decide('brief', 'Hello.')).toMatchObject({ status: 200, est: { basis: 'bytes' } })
  })

  it('refuses it when its tokens do not fit either', async () => {
    expect(await decide('endless', words.repeat(4))).toMatchObject({ status: 429, out: 'refuse' })
  })
})
