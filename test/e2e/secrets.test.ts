/**
 * Words that must stay where they are: a prompt, an answer, a token and a provider's key are looked for in everything that
 * a running gateway writes.
 */
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Handler, Loopback } from '../adapters/providers/loopback.ts'
import { settledRecords } from '../support/books.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { askOf, FAMILIES, PATHS, providerPolicy, startProvider } from '../support/provider.ts'
import type { Family } from '../support/provider.ts'

/** Each is a word that nothing else writes. */
const CANARIES = {
  prompt: 'canary-in-the-prompt',
  answer: 'canary-in-the-answer',
  fault: 'canary-in-a-fault',
  field: 'canary in a field',
  key: 'sk-canary-of-the-provider',
  user: 'canary.person@example.com',
  redis: 'canary-of-redis',
} as const

const rules = (provider: Loopback) => `
apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: secrets}
identity: {issuers: [{name: dev, builtin: true}]}
${providerPolicy(provider)}
access: {default: deny, rules: [{name: agents, match: {role: agent}, allow: {}}]}
limits:
  - {name: pace, key: [tenant, user], rates: [{requests: 1000, window: 1h, algorithm: fixed}], concurrent: 50}
budgets:
  - {name: purse, key: [tenant, user], limit: {usd: "1.00", period: lifetime}}
  - {name: tiny, match: {team: poor}, key: [tenant, team], limit: {usd: "0.000000001", period: lifetime}}
`

let provider: Loopback
let gateway: RunningGateway
/** Bodies of all answers that were not the provider's own. */
const answered: string[] = []
/** Tokens that were sent, whole and without their last character. */
const tokens: string[] = []

beforeAll(async () => {
  provider = await startProvider()
  const env = {
    KEY_OPENAI: CANARIES.key,
    KEY_ANTHROPIC: `${CANARIES.key}-2`,
    REDIS_URL: `redis://:${CANARIES.redis}@x`,
  }
  gateway = await startGateway({ policies: rules(provider), env: { ...env, TOLLGATE_LOG_LEVEL: 'trace' } })
  for (const family of FAMILIES) await tellEverything(family)
  await settledRecords([gateway.dataDir])
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

async function send(family: Family, token: string, body: string, path: string = PATHS[family]) {
  tokens.push(token)
  const response = await fetch(`${gateway.url}${path}`, {
    method: 'POST',
    headers: {
      authorization: `Bearer ${token}`,
      'content-type': 'application/json',
      ...(family === 'anthropic' && { 'anthropic-version': '2023-06-01' }),
      'x-note': CANARIES.field,
    },
    body,
  })
  const text = await response.text().catch(() => '')
  if (response.status !== 200) answered.push(text)
  return { status: response.status, text }
}

/** One of each: an answer, streams that end well and badly, provider errors, refusals and mistakes of every kind. */
async function tellEverything(family: Family): Promise<void> {
  const token = await gateway.token({ user: CANARIES.user })
  const poor = await gateway.token({ user: CANARIES.user, team: 'poor' })
  const prompt = [{ role: 'user', content: CANARIES.prompt }]
  const text = (more: object = {}) => JSON.stringify(askOf(family, { messages: prompt, ...more }))
  await send(family, token, text({ user: CANARIES.field, metadata: { user_id: CANARIES.field } }))
  await answering(streamOf(family, 'whole'), () => send(family, token, text({ stream: true })))
  await answering(streamOf(family, 'cut'), () => send(family, token, text({ stream: true })))
  await answering(streamOf(family, 'hung up'), () => send(family, token, text({ stream: true })))
  await answering(faulty('text/html'), () => send(family, token, text()))
  await answering(
    (_request, response) => void response.destroy(new Error(CANARIES.fault)),
    () => send(family, token, text()),
  )
  await send(family, poor, text())
  await send(family, token, `{"messages":"${CANARIES.prompt}`)
  await send(family, token, text({ model: CANARIES.field }))
  await send(family, token, text({ stream: CANARIES.prompt }))
  await send(
    family,
    token,
    text({ tools: [{ type: CANARIES.field, name: CANARIES.field, max_uses: 1 }], max_tool_calls: 1 }),
  )
  await send(family, token, text({ service_tier: CANARIES.field }))
  await send(family, token, text({ messages: [{ role: CANARIES.prompt, content: { [CANARIES.prompt]: 1 } }] }))
  await send(family, token, text().replace('{', `{"${CANARIES.field}":1,"${CANARIES.field}":2,`))
  await send(family, `${token.slice(0, -4)}AAAA`, text())
  await send(family, 'sk-canary-of-a-caller', text())
  await send(family, token, text(), `/v1/models/${encodeURIComponent(CANARIES.field)}`)
  await send(family, token, text(), '/v1/models/%E0%A4%A')
}

async function answering(handler: Handler, work: () => Promise<unknown>): Promise<void> {
  const before = provider.handle
  provider.handle = handler
  await work()
  provider.handle = before
}

const faulty =
  (type: string): Handler =>
  (_request, response) =>
    void response.writeHead(200, { 'content-type': type, 'x-secret': CANARIES.fault }).end(`<p>${CANARIES.fault}</p>`)

function streamOf(family: Family, end: 'whole' | 'cut' | 'hung up'): Handler {
  const frames =
    family === 'openai'
      ? [
          `data: {"id":"c","object":"chat.completion.chunk","model":"gpt-5-nano","choices":[{"index":0,"delta":{"content":"${CANARIES.answer}"}}]}\n\n`,
          'data: {"id":"c","object":"chat.completion.chunk","choices":[{"index":0,"delta":{},"finish_reason":"stop"}]}\n\n',
          'data: {"id":"c","object":"chat.completion.chunk","choices":[],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12}}\n\n',
          'data: [DONE]\n\n',
        ]
      : [
          'event: message_start\ndata: {"type":"message_start","message":{"id":"m","type":"message","role":"assistant","model":"claude-haiku-4-5","content":[],"usage":{"input_tokens":9,"output_tokens":1}}}\n\n',
          `event: content_block_delta\ndata: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"${CANARIES.answer}"}}\n\n`,
          'event: message_delta\ndata: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":3}}\n\n',
          'event: message_stop\ndata: {"type":"message_stop"}\n\n',
        ]
  return (_request, response) => {
    response.writeHead(200, { 'content-type': 'text/event-stream' })
    const sent = end === 'whole' ? frames : frames.slice(0, 2)
    response.write(sent.join(''), () => void (end === 'hung up' ? response.destroy() : response.end()))
  }
}

/** Every file below a folder, keys and the token for the tour apart. */
function filesOf(dir: string): readonly string[] {
  return readdirSync(dir, { withFileTypes: true, recursive: true })
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !path.startsWith(join(dir, 'keys')) && path !== join(dir, 'token'))
}

/** Which of the words a text has. */
function foundIn(text: string): readonly string[] {
  const parts = tokens.flatMap((token) => [token, token.split('.')[2] ?? token])
  const words = [...Object.values(CANARIES), ...parts, 'canary']
  return words.filter((word) => word !== '' && text.includes(word))
}

describe('what is said in a call', () => {
  it('was really said: the provider saw the prompt, and callers its answers', () => {
    const bodies = provider.seen.map((request) => request.body.toString('utf8'))
    expect(bodies.filter((body) => body.includes(CANARIES.prompt)).length).toBeGreaterThanOrEqual(10)
    expect(provider.seen.some((request) => JSON.stringify(request.headers).includes(CANARIES.key))).toBe(true)
    expect(answered.length).toBeGreaterThanOrEqual(24)
  })

  it('is in no file of the data folder', () => {
    const files = filesOf(gateway.dataDir)
    expect(files.some((path) => path.endsWith('.jsonl'))).toBe(true)
    for (const path of files) expect({ path, found: foundIn(readFileSync(path, 'utf8')) }).toEqual({ path, found: [] })
  })

  it('is in no line of the process’ log, at its most talkative', () => {
    expect(gateway.log()).toContain('listening')
    expect(foundIn(gateway.log())).toEqual([])
  })

  it('is in no metric', async () => {
    expect(foundIn(await (await fetch(`${gateway.url}/metrics`)).text())).toEqual([])
  })

  it('is in no error of the gateway, but for a model’s name that the caller asked for', () => {
    for (const text of answered) {
      const isAboutModel = text.includes('does not exist or you do not have access to it')
      const found = foundIn(text).filter((word) => !(isAboutModel && (word === CANARIES.field || word === 'canary')))
      expect({ text, found }).toEqual({ text, found: [] })
    }
  })
})
