/**
 * Answers that are shortened to what is left: what the caller reads, what goes upstream, what is held and what is on record
 * is one number.
 */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Loopback } from '../adapters/providers/loopback.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { isAdmitted, nano, settledIn, settledRecords, standingOf } from '../support/books.ts'
import { post } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { answerAtLength, maximaOf } from '../support/longwinded-provider.ts'
import { askOf, FAMILIES, PATHS, PROVIDER_KEYS, providerPolicy, startProvider } from '../support/provider.ts'
import type { Family } from '../support/provider.ts'
import { until } from '../support/until.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'

const CALLS = 50
const ASKED = 3_000
const LIMIT = 10_000

/** The most that stays unused: an answer of 256 tokens and the bound of what is sent would not fit any more. */
const UNUSED_MAX = 256 + 512

const rules = (provider: Loopback) => `
apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: fitting}
identity: {issuers: [{name: dev, builtin: true}]}
${providerPolicy(provider)}
access: {default: deny, rules: [{name: agents, match: {role: agent}, allow: {}}]}
limits:
  - {name: pace, key: [tenant, agent], rates: [{tokens: 1000000, window: 1h}], concurrent: 100}
budgets:
  - {name: purse, key: [tenant, agent], fit: true, limit: {tokens: ${LIMIT}, period: lifetime}}
  - {name: money, key: [tenant, agent], limit: {usd: "1.00", period: lifetime}}
`

/** Fields of a request that ask for the same in different ways. */
const ASKS: readonly (readonly [string, Family, object])[] = [
  ['a maximum', 'anthropic', { max_tokens: ASKED }],
  ['the older name', 'openai', { max_tokens: ASKED }],
  ['the newer name', 'openai', { max_tokens: undefined, max_completion_tokens: ASKED }],
  ['no maximum', 'openai', { max_tokens: undefined }],
]

const CASES = ASKS.flatMap(([what, family, more]) =>
  [false, true].map(
    (stream) => [`${family} with ${what}, ${stream ? 'streamed' : 'whole'}`, family, { ...more, stream }] as const,
  ),
)

let provider: Loopback
beforeAll(async () => {
  provider = await startProvider()
  provider.handle = answerAtLength
})
afterAll(async () => provider[Symbol.asyncDispose]())

/** The maximum that a request stands for when it says so itself. */
function ownMaximum(more: object): number | undefined {
  return Object.values(more).find((value) => typeof value === 'number')
}

/** The name under which it must go upstream: the caller's own, where it used one. */
function nameOf(family: Family, more: object): string {
  const [own] = Object.entries(more).flatMap(([name, value]) => (typeof value === 'number' ? [name] : []))
  return own ?? (family === 'openai' ? 'max_completion_tokens' : 'max_tokens')
}

function fits(gateways: () => readonly RunningGateway[]): void {
  beforeAll(() => void (provider.seen.length = 0))

  async function caller(agent: string, turn = 0) {
    const gateway = gateways()[turn % gateways().length]
    if (gateway === undefined) throw new Error('no gateway runs')
    return { url: gateway.url, token: await gateway.token({ agent }) }
  }

  /** One call, and what its caller reads of its maximum. */
  async function call(agent: string, family: Family, more: object, turn = 0) {
    const content = `How is ${agent}?`
    const body = askOf(family, { ...more, messages: [{ role: 'user', content }] })
    const response = await post({ ...(await caller(agent, turn)), body, path: PATHS[family] })
    const text = await response.text()
    const header = response.headers.get('x-tollgate-output-granted')
    return { status: response.status, text, maximum: header === null ? ownMaximum(more) : Number(header) }
  }

  /** The agent's budget, once no call holds any of it. */
  async function settledPurse(agent: string) {
    const { url, token } = await caller(agent)
    return until(`what ${agent} used is settled`, async () => {
      const purse = await standingOf(url, token, 'purse')
      return purse.held === 0 ? purse : undefined
    })
  }

  /** Calls one after the other until one is refused; each takes at least 256 tokens, so the budget ends them. */
  async function useUp(agent: string, family: Family, more: object) {
    const answers = []
    for (let turn = 0; turn <= LIMIT / 256; turn += 1) {
      await settledPurse(agent)
      const next = await call(agent, family, more, turn)
      answers.push(next)
      if (next.status !== 200) break
    }
    return answers
  }

  /** What the provider got of an agent, and where all books stand once everything is settled. */
  async function booksOf(agent: string) {
    const { url, token } = await caller(agent)
    const records = await settledRecords(
      gateways().map(({ dataDir }) => dataDir),
      { agent },
    )
    const sent = provider.seen.filter(({ body }) => body.includes(`How is ${agent}?`)).map(({ body }) => maximaOf(body))
    const [purse, money] = [await settledPurse(agent), await standingOf(url, token, 'money')]
    const estimates = records.filter(isAdmitted).map((record) => membersOf(record['est']))
    const flags = records.flatMap((record) => record['flags'] ?? [])
    return { records, sent, maxima: sent.flatMap((one) => Object.values(one)), purse, money, estimates, flags }
  }

  const ascending = (numbers: readonly unknown[]) => numbers.map(Number).toSorted((left, right) => left - right)

  it.each(CASES)('%s: the last answer is as long as what is left', async (what, family, more) => {
    const agent = `${what.replaceAll(/[^a-z]+/g, '-')}-alone`
    const answers = await useUp(agent, family, more)
    expect(answers.at(-1)).toMatchObject({ status: 429, text: expect.stringContaining('purse') })

    const { sent, maxima, purse, money, estimates, flags, records } = await booksOf(agent)
    const read = answers.slice(0, -1).map(({ maximum }) => maximum)
    expect(ascending(maxima)).toEqual(ascending(read))
    expect(sent.map((one) => Object.keys(one))).toEqual(read.map(() => [nameOf(family, more)]))
    expect(ascending(estimates.map(({ max }) => max))).toEqual(ascending(read))
    // The last never fits whole.
    expect(estimates.map(({ asked }) => asked)).toContain(ownMaximum(more) ?? 16_384)
    expect(Math.min(...maxima)).toBeGreaterThanOrEqual(256)
    expect(purse).toMatchObject({ used: maxima.reduce((sum, tokens) => sum + tokens + 9, 0), held: 0 })
    expect(Number(purse.used)).toBeLessThanOrEqual(LIMIT)
    expect(Number(purse.used)).toBeGreaterThan(LIMIT - UNUSED_MAX)
    expect([nano(money.used), nano(money.held)]).toEqual([settledIn(records), 0n])
    expect(flags).toEqual([])
  })

  it.each(FAMILIES)(
    `${CALLS} calls at once (%s) share what there is, and none gets more than it was granted`,
    async (family) => {
      const agent = `crowd-${family}`
      const more = { max_tokens: ASKED }
      const answers = await Promise.all(Array.from({ length: CALLS }, (_, turn) => call(agent, family, more, turn)))
      expect(answers.filter(({ status }) => status !== 200 && status !== 429)).toEqual([])
      // Whoever comes last takes what the others gave back.
      answers.push(...(await useUp(agent, family, more)))
      const { maxima, purse, money, estimates, flags, records } = await booksOf(agent)
      const read = answers.flatMap(({ status, maximum }) => (status === 200 ? [maximum] : []))
      expect(ascending(maxima)).toEqual(ascending(read))
      expect(ascending(estimates.map(({ max }) => max))).toEqual(ascending(read))
      expect(estimates.some(({ asked }) => asked === ASKED)).toBe(true)
      expect(purse).toMatchObject({ used: maxima.reduce((sum, tokens) => sum + tokens + 9, 0), held: 0 })
      expect(Number(purse.used)).toBeLessThanOrEqual(LIMIT)
      expect(Number(purse.used)).toBeGreaterThan(LIMIT - UNUSED_MAX)
      expect([nano(money.used), nano(money.held)]).toEqual([settledIn(records), 0n])
      expect(flags).toEqual([])
    },
  )

  it('thinking is not cut below its budget', async () => {
    const more = { max_tokens: 12_000, thinking: { type: 'enabled', budget_tokens: 11_000 } }
    const refused = await call('thinker', 'anthropic', more)
    expect(refused).toMatchObject({ status: 429, text: expect.stringContaining('purse') })
    const granted = await call('thinker', 'anthropic', {
      max_tokens: 12_000,
      thinking: { type: 'enabled', budget_tokens: 2_000 },
    })
    expect(granted.status).toBe(200)
    expect(granted.maximum).toBeGreaterThan(2_000)
  })
}

describe('one gateway on the memory ledger', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({ policies: rules(provider), env: PROVIDER_KEYS })
  })
  afterAll(async () => gateway[Symbol.asyncDispose]())

  fits(() => [gateway])
})

describe('two gateways on one Redis', () => {
  let redis: TestRedis
  let gateways: readonly RunningGateway[]
  beforeAll(async () => {
    redis = await startRedis()
    const options = { policies: rules(provider), env: PROVIDER_KEYS, redisUrl: redis.url }
    gateways = await Promise.all([1, 2].map(() => startGateway(options)))
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
    await redis.stop()
  })

  fits(() => gateways)
})
