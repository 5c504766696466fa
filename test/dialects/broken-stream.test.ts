import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { describe, expect, it } from 'vitest'

import { DIALECTS } from '../../src/dialects/registry.ts'
import { refuse } from '../../src/domain/refusal.ts'
import { fixture } from './fixture.ts'

const broken = refuse('upstream_unavailable', 'The upstream broke off.')

/** A client that is given these bytes as the answer to a streamed call. */
const answering = (bytes: Buffer) => ({
  apiKey: 'x',
  logLevel: 'off' as const,
  maxRetries: 0,
  fetch: () => Promise.resolve(new Response(bytes, { headers: { 'content-type': 'text/event-stream' } })),
})

const clients = {
  'openai-chat': async (bytes: Buffer) => {
    const client = new OpenAI(answering(bytes))
    const stream = await client.chat.completions.create({ model: 'm', messages: [], stream: true })
    for await (const _chunk of stream) continue
  },
  'anthropic-messages': async (bytes: Buffer) => {
    const client = new Anthropic({ ...answering(bytes), authToken: null })
    const stream = await client.messages.create({ model: 'm', max_tokens: 1, messages: [], stream: true })
    for await (const _event of stream) continue
  },
} as const

describe.each([
  ['openai-chat', 'openai/stream.sse'],
  ['anthropic-messages', 'anthropic/stream.sse'],
] as const)('%s: a stream that broke off', (name, path) => {
  it('is an error to the official client at whatever byte it broke, never a clean end', async () => {
    const stream = fixture(path)
    const end = stream.length - (name === 'openai-chat' ? 'data: [DONE]\n\n'.length : 0)
    const frame = Buffer.from(DIALECTS[name].errorFrame(broken, 'r-1'))
    for (let cut = 0; cut < end; cut += 7) {
      const bytes = Buffer.concat([stream.subarray(0, cut), frame])
      await expect(clients[name](bytes), `cut at ${cut}`).rejects.toThrow(/broke off|JSON|parse/)
    }
  })
})
