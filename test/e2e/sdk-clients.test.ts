import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'

const RULES = `
limits:
  - name: hurried
    match: {agent: hurried}
    key: [tenant, agent]
    rates: [{requests: 1, window: 1s, burst: 1}]
budgets:
  - name: penniless
    match: {agent: penniless}
    key: [tenant, agent]
    limit: {usd: "0.000000001", period: lifetime}
`

let gateway: RunningGateway

beforeAll(async () => {
  gateway = await startGateway({ policies: policySet(RULES) })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
})

/** Counts the requests a client really sends. */
function countingFetch() {
  const seen = { requests: 0 }
  const counting: typeof fetch = (input, init) => {
    seen.requests += 1
    return fetch(input, init)
  }
  return { seen, fetch: counting }
}

const messages = [{ role: 'user' as const, content: 'Say something.' }]

describe('the official openai client, unmodified', () => {
  async function client(agent: string) {
    const counting = countingFetch()
    const apiKey = await gateway.token({ agent })
    return { openai: new OpenAI({ apiKey, baseURL: `${gateway.url}/v1`, fetch: counting.fetch }), seen: counting.seen }
  }

  it('gets a completion with true usage', async () => {
    const { openai } = await client('writer')
    const answer = await openai.chat.completions.create({ model: 'sim-small', messages })
    expect(answer.choices[0]?.message.content).toBeTruthy()
    expect(answer.usage?.total_tokens).toBe((answer.usage?.prompt_tokens ?? 0) + (answer.usage?.completion_tokens ?? 0))
    expect(answer.usage?.completion_tokens).toBeGreaterThan(0)
  })

  it('streams without usage when it did not ask for it', async () => {
    const { openai } = await client('writer')
    const stream = await openai.chat.completions.create({ model: 'sim-small', messages, stream: true })
    let text = ''
    for await (const chunk of stream) {
      expect(chunk).not.toHaveProperty('usage')
      expect(chunk.choices).toHaveLength(1)
      text += chunk.choices[0]?.delta.content ?? ''
    }
    expect(text).not.toBe('')
  })

  it('streams with usage in one last chunk when it asked for it', async () => {
    const { openai } = await client('writer')
    const stream = await openai.chat.completions.create({
      model: 'sim-small',
      messages,
      stream: true,
      stream_options: { include_usage: true },
    })
    const chunks = []
    for await (const chunk of stream) chunks.push(chunk)
    const withUsage = chunks.filter((chunk) => chunk.usage)
    expect(withUsage).toHaveLength(1)
    expect(withUsage[0]).toBe(chunks.at(-1))
    expect(withUsage[0]?.choices).toEqual([])
  })

  it('is refused by a budget with one single request and the right class', async () => {
    const { openai, seen } = await client('penniless')
    const refusal = openai.chat.completions.create({ model: 'sim-small', messages })
    await expect(refusal).rejects.toBeInstanceOf(OpenAI.RateLimitError)
    await expect(refusal).rejects.toMatchObject({ status: 429, code: 'insufficient_quota', type: 'insufficient_quota' })
    expect(seen.requests).toBe(1)
  })

  it('is refused by a rate, waits as told and then succeeds', async () => {
    const { openai, seen } = await client('hurried')
    await openai.chat.completions.create({ model: 'sim-small', messages })
    const answer = await openai.chat.completions.create({ model: 'sim-small', messages })
    expect(answer.choices).toHaveLength(1)
    expect(seen.requests).toBeGreaterThanOrEqual(3)
  })

  it('lists the models its caller may use', async () => {
    const { openai } = await client('writer')
    const ids = []
    for await (const model of openai.models.list()) ids.push(model.id)
    expect(ids).toContain('sim-small')
  })
})

describe('the official @anthropic-ai/sdk client, unmodified', () => {
  async function client(agent: string) {
    const counting = countingFetch()
    const apiKey = await gateway.token({ agent })
    return { anthropic: new Anthropic({ apiKey, baseURL: gateway.url, fetch: counting.fetch }), seen: counting.seen }
  }
  const ask = { model: 'sim-claude', max_tokens: 64, messages }

  it('gets a message with true usage', async () => {
    const { anthropic } = await client('writer')
    const answer = await anthropic.messages.create(ask)
    expect(answer.content[0]?.type).toBe('text')
    expect(answer.usage.output_tokens).toBeGreaterThan(0)
  })

  it('streams to the final message', async () => {
    const { anthropic } = await client('writer')
    const final = await anthropic.messages.stream(ask).finalMessage()
    expect(final.usage.output_tokens).toBeGreaterThan(0)
    expect(final.stop_reason).toBeTruthy()
  })

  it('is refused by a budget with one single request and the right class', async () => {
    const { anthropic, seen } = await client('penniless')
    const refusal = anthropic.messages.create(ask)
    await expect(refusal).rejects.toBeInstanceOf(Anthropic.RateLimitError)
    await expect(refusal).rejects.toMatchObject({ status: 429, type: 'billing_error' })
    expect(seen.requests).toBe(1)
  })

  it('is refused by a rate, waits as told and then succeeds', async () => {
    const { anthropic, seen } = await client('hurried')
    await anthropic.messages.create(ask).catch(() => undefined)
    const answer = await anthropic.messages.create(ask)
    expect(answer.type).toBe('message')
    expect(seen.requests).toBeGreaterThanOrEqual(3)
  })
})
