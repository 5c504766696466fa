/** What is left, as callers are told it: before the first byte of a stream, on refusals, and at `/v1/limits`. */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { nano, settledRecords } from '../support/books.ts'
import { chat, post } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { standingsOf } from '../support/standings.ts'

const RULES = policySet(`
limits:
  - name: pace
    key: [tenant, agent]
    rates: [{requests: 600, window: 1m, burst: 40}, {outputTokens: 90000, window: 10m}]
    concurrent: 9
budgets:
  - name: purse
    match: {agent: {not: poor}}
    key: [tenant, agent]
    limit: {usd: "5.00", period: week, weekStart: sun, at: "06:00", timezone: Asia/Tokyo}
  - name: pennies
    match: {agent: poor}
    key: [tenant, agent]
    limit: {usd: "0.000000007", period: month}
  - name: words
    match: {agent: poor}
    key: [tenant, agent]
    limit: {tokens: 0, period: day}
`)

const WEEK_S = 7 * 86_400

describe.each(['memory', 'redis'] as const)('limits and budgets on %s', (kind) => {
  let redis: TestRedis | undefined
  let gateway: RunningGateway

  beforeAll(async () => {
    redis = kind === 'redis' ? await startRedis() : undefined
    gateway = await startGateway({ policies: RULES, ...(redis && { redisUrl: redis.url }) })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
    await redis?.stop()
  })

  it('stand in the headers of a stream, for a client of OpenAI', async () => {
    const openai = new OpenAI({ apiKey: await gateway.token({ agent: 'one' }), baseURL: `${gateway.url}/v1` })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const ask = { model: 'sim-small', max_tokens: 50, messages, stream: true } as const
    const { data, response } = await openai.chat.completions.create(ask).withResponse()
    expect(Object.fromEntries(response.headers)).toMatchObject({
      'x-ratelimit-limit-requests': '40',
      'x-ratelimit-remaining-requests': '39',
      'x-ratelimit-reset-requests': '100ms',
      'x-ratelimit-limit-tokens': '90000',
      'x-ratelimit-reset-tokens': '10m0s',
      'ratelimit-policy': '"pace";q=40;w=4, "pace.2";q=90000;qu="tokens";w=600, "pace.3";q=9;qu="concurrent-requests"',
      ratelimit: expect.stringMatching(/^"pace";r=39;t=1, "pace\.2";r=89\d{3};t=600, "pace\.3";r=8$/),
      'x-tollgate-budget': 'purse;used=0%',
    })
    for await (const chunk of data) expect(chunk.object).toBe('chat.completion.chunk')
  })

  it('stand in the headers of a stream, for a client of Anthropic', async () => {
    const anthropic = new Anthropic({ apiKey: await gateway.token({ agent: 'two' }), baseURL: gateway.url })
    const messages = [{ role: 'user' as const, content: 'Hi' }]
    const ask = { model: 'sim-claude', max_tokens: 50, messages, stream: true } as const
    const beforeMs = Date.now()
    const { data, response } = await anthropic.messages.create(ask).withResponse()
    const names = [...response.headers.keys()].filter((name) => name.startsWith('anthropic-ratelimit-'))
    expect(names).toEqual([
      'anthropic-ratelimit-output-tokens-limit',
      'anthropic-ratelimit-output-tokens-remaining',
      'anthropic-ratelimit-output-tokens-reset',
      'anthropic-ratelimit-requests-limit',
      'anthropic-ratelimit-requests-remaining',
      'anthropic-ratelimit-requests-reset',
      'anthropic-ratelimit-tokens-limit',
      'anthropic-ratelimit-tokens-remaining',
      'anthropic-ratelimit-tokens-reset',
    ])
    const reset = response.headers.get('anthropic-ratelimit-tokens-reset') ?? ''
    expect(reset).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
    expect(Date.parse(reset) - beforeMs).toBeGreaterThanOrEqual(600_000)
    for await (const event of data) expect(event.type).toBeTruthy()
  })

  it('of a refused call name the budget that refused it, and what that has left', async () => {
    const token = await gateway.token({ agent: 'poor' })
    const response = await post({ url: gateway.url, token, body: chat('tokens=1') })
    const { error } = (await response.json()) as { readonly error: { readonly rule: string; readonly used: string } }
    expect({ status: response.status, rule: error.rule, used: error.used }).toEqual({
      status: 429,
      rule: 'pennies',
      used: '0.00',
    })
    expect(response.headers.get('x-tollgate-budget')).toBe('pennies;used=0%')
    expect(response.headers.get('x-ratelimit-remaining-tokens')).toBe('0')
    expect(response.headers.has('x-ratelimit-remaining-requests')).toBe(false)
  })

  it('stand at /v1/limits with their windows, and what is left is what is not used or held', async () => {
    const token = await gateway.token({ agent: 'three' })
    await (await post({ url: gateway.url, token, body: chat('tokens=5', { max_tokens: 9 }) })).arrayBuffer()
    await settledRecords([gateway.dataDir])
    const standings = await standingsOf(gateway.url, token)
    expect(standings.map(({ unit, limit, window }) => [unit, limit, window])).toEqual([
      ['requests', 40, { seconds: 60, amount: 600 }],
      ['output_tokens', 90_000, { seconds: 600, amount: 90_000 }],
      ['concurrent', 9, null],
      ['usd', '5.000000000', { seconds: WEEK_S, amount: '5.000000000' }],
    ])
    const purse = standings.find(({ rule }) => rule === 'purse')
    expect(nano(purse?.remaining)).toBe(nano(purse?.limit) - nano(purse?.used))
    const resets = new Date(Date.parse(String(purse?.resets_at)) + 9 * 3_600_000)
    expect([resets.getUTCDay(), resets.getUTCHours(), resets.getUTCMinutes()]).toEqual([0, 6, 0])
  })
})
