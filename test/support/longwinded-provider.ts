/**
 * A provider whose every answer is as long as its maximum lets it be, in both wire formats, streamed or not.
 */
import type { Handler } from '../adapters/providers/loopback.ts'
import { MODELS } from './provider.ts'
import type { Family } from './provider.ts'

const INPUT_TOKENS = 9

/** The maxima that a request carries, by field; the provider would take whichever it knows. */
export function maximaOf(body: Buffer): Readonly<Record<string, number>> {
  // The request's own fields are checked by the gateway; here they are only read.
  const fields = JSON.parse(body.toString()) as Record<string, unknown>
  const names = ['max_tokens', 'max_completion_tokens'].filter((name) => typeof fields[name] === 'number')
  return Object.fromEntries(names.map((name) => [name, Number(fields[name])]))
}

export const answerAtLength: Handler = ({ path, body }, response) => {
  const family = path.endsWith('/messages') ? 'anthropic' : 'openai'
  const tokens = Math.max(...Object.values(maximaOf(body)))
  if (body.includes('"stream":true')) {
    const events = streams[family](tokens).map((event) => `${event}\n\n`)
    response.writeHead(200, { 'content-type': 'text/event-stream' }).end(events.join(''))
  } else {
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answers[family](tokens)))
  }
}

const openaiUsage = (tokens: number) => ({
  prompt_tokens: INPUT_TOKENS,
  completion_tokens: tokens,
  total_tokens: INPUT_TOKENS + tokens,
})

const answers: Readonly<Record<Family, (tokens: number) => object>> = {
  openai: (tokens) => ({
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: MODELS.openai,
    choices: [{ index: 0, message: { role: 'assistant', content: 'Well,' }, finish_reason: 'length' }],
    usage: openaiUsage(tokens),
  }),
  anthropic: (tokens) => ({
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: MODELS.anthropic,
    content: [{ type: 'text', text: 'Well,' }],
    stop_reason: 'max_tokens',
    stop_sequence: null,
    usage: { input_tokens: INPUT_TOKENS, output_tokens: tokens },
  }),
}

const chunk = (more: object) =>
  `data: ${JSON.stringify({ id: 'chatcmpl-1', object: 'chat.completion.chunk', created: 1, model: MODELS.openai, ...more })}`

const event = (type: string, more: object) => `event: ${type}\ndata: ${JSON.stringify({ type, ...more })}`

const streams: Readonly<Record<Family, (tokens: number) => readonly string[]>> = {
  openai: (tokens) => [
    chunk({ choices: [{ index: 0, delta: { role: 'assistant', content: 'Well,' }, finish_reason: null }] }),
    chunk({ choices: [{ index: 0, delta: {}, finish_reason: 'length' }] }),
    chunk({ choices: [], usage: openaiUsage(tokens) }),
    'data: [DONE]',
  ],
  anthropic: (tokens) => [
    event('message_start', {
      message: {
        id: 'msg_1',
        type: 'message',
        role: 'assistant',
        model: MODELS.anthropic,
        content: [],
        stop_reason: null,
        stop_sequence: null,
        usage: { input_tokens: INPUT_TOKENS, output_tokens: 1 },
      },
    }),
    event('content_block_start', { index: 0, content_block: { type: 'text', text: '' } }),
    event('content_block_delta', { index: 0, delta: { type: 'text_delta', text: 'Well,' } }),
    event('content_block_stop', { index: 0 }),
    event('message_delta', {
      delta: { stop_reason: 'max_tokens', stop_sequence: null },
      usage: { output_tokens: tokens },
    }),
    event('message_stop', {}),
  ],
}
