import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { get_encoding } from 'tiktoken'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

import { startSimulator } from '../../../src/adapters/simulator/simulator.ts'
import type { Simulator } from '../../../src/adapters/simulator/simulator.ts'
import type { TokenCounter } from '../../../src/ports.ts'

const encoder = get_encoding('o200k_base')

/** Exact, in this thread: the texts of these tests are short. */
const counter: TokenCounter = {
  count: (texts) => Promise.resolve(texts.reduce((sum, text) => sum + encoder.encode_ordinary(text).length, 0)),
  [Symbol.asyncDispose]: () => Promise.resolve(),
}

let simulator: Simulator
let openai: OpenAI
let anthropic: Anthropic

beforeAll(async () => {
  simulator = await startSimulator({
    counter,
    upstreamNamed: (name) =>
      name === 'slow'
        ? { models: ['slow-model'], simulation: { latencyMs: 0, tokensPerSecond: 0, outputTokens: 3 } }
        : undefined,
  })
  openai = new OpenAI({ apiKey: 'x', baseURL: `${simulator.url}/v1`, maxRetries: 0 })
  anthropic = new Anthropic({ apiKey: 'x', authToken: null, baseURL: simulator.url, maxRetries: 0 })
})

afterAll(async () => {
  await simulator[Symbol.asyncDispose]()
  encoder.free()
})

const user = (content: string) => [{ role: 'user' as const, content }]
const chat = (content: string) => ({ model: 'sim-small', messages: user(content) })

describe('the OpenAI client', () => {
  it('gets the same answer to the same question, and another to another', async () => {
    const [first, second, other] = await Promise.all(
      ['a', 'a', 'b'].map((text) => openai.chat.completions.create(chat(text))),
    )
    expect(second?.choices[0]?.message.content).toBe(first?.choices[0]?.message.content)
    expect(other?.choices[0]?.message.content).not.toBe(first?.choices[0]?.message.content)
  })

  it('gets true token counts', async () => {
    const answer = await openai.chat.completions.create({ ...chat('Grüße, wörld! [[simulate tokens=40]]') })
    const text = answer.choices[0]?.message.content ?? ''
    expect(answer.usage?.completion_tokens).toBe(40)
    expect(encoder.encode_ordinary(text)).toHaveLength(40)
    const input = ['user', 'Grüße, wörld! [[simulate tokens=40]]']
    const counted = input.reduce((sum, piece) => sum + encoder.encode_ordinary(piece).length, 0)
    expect(answer.usage?.prompt_tokens).toBe(counted + 6)
  })

  it('gets n choices, each bounded by its maximum, and says that it was cut', async () => {
    const answer = await openai.chat.completions.create({ ...chat('[[simulate tokens=9]]'), n: 3, max_tokens: 4 })
    expect(answer.choices.map((choice) => choice.finish_reason)).toEqual(['length', 'length', 'length'])
    expect(answer.usage?.completion_tokens).toBe(12)
  })

  it('streams, with usage only when asked for', async () => {
    const read = async (options: object) => {
      const stream = await openai.chat.completions.create({ ...chat('hi'), ...options, stream: true })
      const chunks: OpenAI.ChatCompletionChunk[] = []
      for await (const chunk of stream) chunks.push(chunk)
      return chunks
    }
    const plain = await read({})
    const counted = await read({ stream_options: { include_usage: true } })
    expect(plain.every((chunk) => !('usage' in chunk))).toBe(true)
    expect(counted.at(-1)).toMatchObject({ choices: [], usage: { completion_tokens: 64 } })
    const text = (chunks: OpenAI.ChatCompletionChunk[]) =>
      chunks.map((chunk) => chunk.choices[0]?.delta.content ?? '').join('')
    expect(text(plain)).toBe(text(counted))
    expect(encoder.encode_ordinary(text(plain))).toHaveLength(64)
  })

  it('gets the error classes of the vendor', async () => {
    const failing = (body: object) => openai.chat.completions.create({ ...chat('x'), ...body })
    await expect(failing({ model: 'none' })).rejects.toBeInstanceOf(OpenAI.NotFoundError)
    await expect(failing(chat('[[simulate status=429]]'))).rejects.toBeInstanceOf(OpenAI.RateLimitError)
    await expect(failing(chat('[[simulate status=500]]'))).rejects.toBeInstanceOf(OpenAI.InternalServerError)
    await expect(failing({ n: 1000 })).rejects.toBeInstanceOf(OpenAI.BadRequestError)
  })

  it('lists models', async () => {
    const models = await openai.models.list()
    expect(models.data.map(({ id }) => id)).toContain('sim-large')
  })
})

describe('the Anthropic client', () => {
  const ask = { model: 'sim-claude', max_tokens: 10, messages: user('hello') }

  it('gets a message with its usage and stop reason', async () => {
    const message = await anthropic.messages.create(ask)
    expect(message.stop_reason).toBe('max_tokens')
    expect(message.usage.output_tokens).toBe(10)
    const [block] = message.content
    expect(block?.type === 'text' && encoder.encode_ordinary(block.text)).toHaveLength(10)
  })

  it('streams to the same final message', async () => {
    const whole = await anthropic.messages.create(ask)
    const streamed = await anthropic.messages.stream(ask).finalMessage()
    expect(streamed.content).toEqual(whole.content)
    expect(streamed.usage.output_tokens).toBe(10)
    expect(streamed.usage.input_tokens).toBe(whole.usage.input_tokens)
  })

  it('gets the error classes of the vendor', async () => {
    await expect(anthropic.messages.create({ ...ask, model: 'none' })).rejects.toBeInstanceOf(Anthropic.NotFoundError)
    const overloaded = { ...ask, messages: user('[[simulate status=529]]') }
    await expect(anthropic.messages.create(overloaded)).rejects.toMatchObject({ status: 529 })
  })

  it('lists models in its own shape', async () => {
    const page = await anthropic.models.list()
    expect(page.data[0]).toMatchObject({ type: 'model', id: 'sim-small' })
  })
})

describe('faults', () => {
  it('cuts a stream after the given number of tokens, and knows how many it generated', async () => {
    const stream = await openai.chat.completions.create({ ...chat('[[simulate cut=3]]'), stream: true })
    let tokens = 0
    const read = async () => {
      for await (const chunk of stream) if (chunk.choices[0]?.delta.content) tokens += 1
    }
    await expect(read()).rejects.toThrow(/terminated|aborted|closed/)
    expect(tokens).toBe(3)
    expect(simulator.stats().calls.at(-1)).toMatchObject({ tokensGenerated: 3, state: 'cut' })
  })

  it('breaks a whole answer in the middle', async () => {
    await expect(openai.chat.completions.create(chat('[[simulate cut=1]]'))).rejects.toThrow(
      /terminated|aborted|closed|Connection/,
    )
  })

  it('leaves the usage out', async () => {
    const answer = await openai.chat.completions.create(chat('[[simulate no-usage]]'))
    expect(answer.usage).toBeUndefined()
  })

  it('hangs until the caller gives up, and stops then', async () => {
    const controller = new AbortController()
    const call = openai.chat.completions.create(chat('[[simulate hang]]'), { signal: controller.signal })
    while (simulator.stats().calls.at(-1)?.state !== 'open') await new Promise(setImmediate)
    controller.abort()
    await expect(call).rejects.toBeInstanceOf(OpenAI.APIUserAbortError)
    while (simulator.stats().calls.at(-1)?.state === 'open') await new Promise(setImmediate)
    expect(simulator.stats().calls.at(-1)).toMatchObject({ state: 'aborted', tokensGenerated: 0 })
  })

  it('generates no more than a caller that leaves can have caused', async () => {
    const directive = '[[simulate tokens=100000 speed=2000]]'
    const stream = await openai.chat.completions.create({ ...chat(directive), stream: true })
    for await (const _chunk of stream) break
    while (simulator.stats().calls.at(-1)?.state === 'open') await new Promise(setImmediate)
    const call = simulator.stats().calls.at(-1)
    expect(call?.state).toBe('aborted')
    expect(call?.tokensGenerated).toBeLessThan(10_000)
  })

  it('waits and paces as asked', async () => {
    const started = performance.now()
    await openai.chat.completions.create(chat('[[simulate latency=60 tokens=20 speed=200]]'))
    expect(performance.now() - started).toBeGreaterThanOrEqual(155)
  })
})

describe('routes', () => {
  it('serves each upstream under its name, with its own models and simulation', async () => {
    const slow = new OpenAI({ apiKey: 'x', baseURL: `${simulator.url}/slow/v1`, maxRetries: 0 })
    const answer = await slow.chat.completions.create({ model: 'slow-model', messages: user('x') })
    expect(answer.usage?.completion_tokens).toBe(3)
    await expect(slow.chat.completions.create(chat('x'))).rejects.toBeInstanceOf(OpenAI.NotFoundError)
  })

  it('answers 404 for anything else', async () => {
    for (const path of ['/v1/embeddings', '/unknown/v1/models', '/']) {
      const response = await fetch(simulator.url + path)
      expect(response.status).toBe(404)
      expect(await response.json()).toHaveProperty('error')
    }
  })
})
