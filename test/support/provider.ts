/**
 * A provider on a loopback port that answers like OpenAI and Anthropic and remembers each request it sees.
 */
import { startLoopback } from '../adapters/providers/loopback.ts'
import type { Loopback } from '../adapters/providers/loopback.ts'

/** Names that the price table knows, so that calls are priced and reach the provider. */
export const MODELS = { openai: 'gpt-5-nano', anthropic: 'claude-haiku-4-5' } as const

export const PATHS = { openai: '/v1/chat/completions', anthropic: '/v1/messages' } as const

export type Family = keyof typeof MODELS

export const FAMILIES: readonly Family[] = ['openai', 'anthropic']

const ANSWERS = {
  openai: {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    created: 1,
    model: MODELS.openai,
    choices: [{ index: 0, message: { role: 'assistant', content: 'Fine.' }, finish_reason: 'stop' }],
    usage: { prompt_tokens: 9, completion_tokens: 3, total_tokens: 12 },
  },
  anthropic: {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: MODELS.anthropic,
    content: [{ type: 'text', text: 'Fine.' }],
    stop_reason: 'end_turn',
    stop_sequence: null,
    usage: { input_tokens: 9, output_tokens: 3 },
  },
}

export async function startProvider(): Promise<Loopback> {
  const provider = await startLoopback()
  provider.handle = ({ path }, response) => {
    const answer = path.endsWith('/messages') ? ANSWERS.anthropic : ANSWERS.openai
    response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer))
  }
  return provider
}

/** The part of a policy set that sends calls to the provider; its keys are in `KEY_OPENAI` and `KEY_ANTHROPIC`. */
export function providerPolicy(provider: Loopback): string {
  return `
upstreams:
  - name: loop-openai
    provider: openai
    baseUrl: ${provider.url}/v1
    models: {${MODELS.openai}: ${MODELS.openai}}
    keys: [{id: openai-key, secret: "env:KEY_OPENAI"}]
  - name: loop-anthropic
    provider: anthropic
    baseUrl: ${provider.url}
    models: {${MODELS.anthropic}: ${MODELS.anthropic}}
    keys: [{id: anthropic-key, secret: "env:KEY_ANTHROPIC"}]
destinations: {allow: [127.0.0.1], allowPrivate: [127.0.0.0/8]}
`
}

export const PROVIDER_KEYS = { KEY_OPENAI: 'sk-openai-of-the-gateway', KEY_ANTHROPIC: 'sk-ant-of-the-gateway' }

/** A body that each dialect accepts. */
export function askOf(family: Family, more: object = {}): object {
  return { model: MODELS[family], max_tokens: 20, messages: [{ role: 'user', content: 'How are you?' }], ...more }
}
