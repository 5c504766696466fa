/**
 * Bodies that must not be acted on, against a running gateway whose provider counts what reaches it: a clear error in the
 * caller's dialect that names the field, on record, with nothing sent or held.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:net'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import type { Loopback } from '../adapters/providers/loopback.ts'
import { recordsOf } from '../support/books.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { askOf, FAMILIES, MODELS, PATHS, PROVIDER_KEYS, providerPolicy, startProvider } from '../support/provider.ts'
import type { Family } from '../support/provider.ts'
import { readReceipt, readRefusal } from '../support/refusals.ts'
import { standingsOf } from '../support/standings.ts'

const rules = (provider: Loopback) => `
apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: bad-input}
identity: {issuers: [{name: dev, builtin: true}]}
${providerPolicy(provider)}
access:
  default: deny
  rules: [{name: agents, match: {role: agent}, allow: {}}]
limits:
  - {name: pace, key: [tenant, agent], rates: [{requests: 1000, window: 1h, algorithm: fixed}], concurrent: 50}
budgets:
  - {name: purse, key: [tenant, agent], limit: {usd: "5.00", period: lifetime}}
  - {name: allowance, key: [tenant, agent], limit: {tokens: 10000000, period: lifetime}}
`

const MIB = 1024 * 1024

let provider: Loopback
let gateway: RunningGateway
let token: string

beforeAll(async () => {
  provider = await startProvider()
  gateway = await startGateway({ policies: rules(provider), env: PROVIDER_KEYS })
  token = await gateway.token()
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
})

type Body = string | Uint8Array<ArrayBuffer>
type Headers = Readonly<Record<string, string>>

function headersOf(family: Family): Headers {
  const version: Headers = family === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {}
  return { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...version }
}

function send(family: Family, body: Body, headers: Headers = {}) {
  return fetch(`${gateway.url}${PATHS[family]}`, {
    method: 'POST',
    headers: { ...headersOf(family), ...headers },
    body,
  })
}

async function counters(): Promise<readonly unknown[]> {
  return (await standingsOf(gateway.url, token)).map(({ rule, unit, used, held }) => ({ rule, unit, used, held }))
}

interface Case {
  readonly name: string
  readonly family: Family
  readonly body: Body
  readonly headers?: Headers
  readonly status?: number
  readonly code?: string
  /** `param` of the answer and `field` of the record. */
  readonly field?: string
  readonly says?: string
}

const invalid = 'invalid_request_error'

/** The same for both dialects. */
const everywhere = (name: string, make: (family: Family) => Omit<Case, 'name' | 'family'>): readonly Case[] =>
  FAMILIES.map((family) => ({ name, family, ...make(family) }))

const json = (family: Family, more: object) => JSON.stringify(askOf(family, more))

const wrong = (family: Family, field: string, value: unknown): Case => ({
  name: `${field} = ${JSON.stringify(value)}`,
  family,
  body: json(family, { [field]: value }),
  field,
  says: field,
})

const CASES: readonly Case[] = [
  ...everywhere('an empty body', () => ({ body: '', says: 'empty' })),
  ...everywhere('malformed JSON', () => ({ body: '{"model": "x", ', says: 'JSON' })),
  ...everywhere('text that is no JSON', () => ({ body: 'hello', says: 'JSON' })),
  ...everywhere('an array', () => ({ body: '[1, 2]', says: 'object' })),
  ...everywhere('a number', () => ({ body: '7', says: 'object' })),
  ...everywhere('null', () => ({ body: 'null', says: 'object' })),
  ...everywhere('invalid UTF-8', () => ({
    body: new Uint8Array([...Buffer.from('{"model":"'), 0xff, 0xfe, ...Buffer.from('"}')]),
    says: 'UTF-8',
  })),
  ...everywhere('a body in UTF-16', (family) => ({
    body: new Uint8Array(Buffer.from(json(family, {}), 'utf16le')),
    says: 'JSON',
  })),
  ...everywhere('a member named twice', (family) => ({
    body: json(family, {}).replace('{', `{"model":"${MODELS[family]}",`),
    field: 'model',
    says: 'twice',
  })),
  ...everywhere('a member named twice, once escaped', (family) => ({
    body: json(family, {}).replace('{', String.raw`{"max_tok\u0065ns":1,`),
    field: 'max_tokens',
    says: 'twice',
  })),
  ...everywhere('a member named twice inside a message', (family) => ({
    body: json(family, {}).replace('"role":"user"', '"role":"user","role":"system"'),
    says: 'twice',
  })),
  ...everywhere('absurd depth', (family) => ({
    body: json(family, {}).replace('{', `{"x":${'['.repeat(100_000)}${']'.repeat(100_000)},`),
    says: 'nested',
  })),
  ...everywhere('a compressed body', (family) => ({
    body: json(family, {}),
    headers: { 'content-encoding': 'gzip' },
    field: 'content-encoding',
    says: 'content-encoding',
  })),
  ...everywhere('a body of 50 MB', (family) => ({
    body: json(family, { user: 'x'.repeat(50 * MIB) }),
    status: 413,
    code: 'request_too_large',
    says: 'larger',
  })),
  ...everywhere('an unknown model', (family) => ({
    body: json(family, { model: 'gpt-99' }),
    status: 404,
    code: family === 'openai' ? 'model_not_found' : 'not_found_error',
    field: 'model',
    says: 'gpt-99',
  })),
  ...everywhere('a model of the other vendor', (family) => ({
    body: json(family, { model: MODELS[family === 'openai' ? 'anthropic' : 'openai'] }),
    status: 404,
    code: family === 'openai' ? 'model_not_found' : 'not_found_error',
    field: 'model',
  })),
  ...FAMILIES.flatMap((family) => [
    wrong(family, 'model', 7),
    wrong(family, 'model', ''),
    wrong(family, 'model', 'line\nbreak'),
    wrong(family, 'messages', []),
    wrong(family, 'messages', 'hello'),
    { ...wrong(family, 'messages', [7]), field: 'messages[0]', says: 'messages[0]' },
    wrong(family, 'stream', 'yes'),
    wrong(family, 'max_tokens', 1e12),
    wrong(family, 'max_tokens', 0),
    wrong(family, 'max_tokens', -1),
    wrong(family, 'max_tokens', 1.5),
    wrong(family, 'max_tokens', '100'),
    wrong(family, 'tools', {}),
    wrong(family, 'service_tier', 'bogus'),
  ]),
  wrong('openai', 'n', 1000),
  wrong('openai', 'n', 0),
  wrong('openai', 'n', '2'),
  wrong('openai', 'max_completion_tokens', 1e12),
  { ...wrong('openai', 'stream_options', { include_usage: 1 }), field: 'stream_options.include_usage' },
  {
    name: 'no max_tokens',
    family: 'anthropic',
    body: JSON.stringify({ model: MODELS.anthropic, messages: [{ role: 'user', content: 'Hi' }] }),
    field: 'max_tokens',
    says: 'required',
  },
]

describe('a body that must not be acted on', () => {
  it.each(CASES)('$name, sent to $family, is a clear error, on record, with nothing sent or held', async (bad) => {
    const before = await counters()
    const response = await send(bad.family, bad.body, bad.headers)
    const receipt = await readReceipt(gateway.url, response)
    const refusal = await readRefusal(response, bad.family)
    const id = response.headers.get('x-request-id') ?? ''
    const expected = { status: bad.status ?? 400, code: bad.code ?? invalid, field: bad.field, decisionId: id }
    expect(refusal).toMatchObject(expected)
    expect(refusal.message).toContain(bad.says ?? '')
    expect(response.headers.get('x-should-retry')).toBe('false')

    const records = await recordsOf(gateway.dataDir, { id })
    expect(records.map((record) => record.type)).toEqual(['decision'])
    const decided = membersOf(records[0]?.['dec'])
    expect(decided).toMatchObject({ out: 'refuse', http: expected.status })
    expect(decided['field']).toBe(bad.field)
    expect(records[0]?.['rsv']).toBeUndefined()
    expect(receipt).toMatchObject({ id, out: 'refuse', code: decided['code'] })
    expect(await counters()).toEqual(before)
    expect(provider.seen).toEqual([])
  })
})

describe('a body that is larger than the limit', () => {
  it('is answered although its length was not told, and the connection goes on', async () => {
    const outgoing = request(`${gateway.url}${PATHS.openai}`, { method: 'POST', headers: headersOf('openai') })
    const chunk = Buffer.alloc(MIB, 'x')
    for (let sent = 0; sent < 40; sent += 1) {
      if (!outgoing.write(chunk)) await once(outgoing, 'drain')
    }
    outgoing.end()
    // The event carries one value, the answer.
    const [answer] = (await once(outgoing, 'response')) as [IncomingMessage]
    answer.resume()
    expect(answer.statusCode).toBe(413)
    expect((await fetch(`${gateway.url}/livez`)).status).toBe(200)
  })

  it('is not read at all for a caller that nobody vouches for', async () => {
    const response = await fetch(`${gateway.url}${PATHS.openai}`, { method: 'POST', body: 'x'.repeat(50 * MIB) })
    expect(response.status).toBe(401)
  })
})

describe('a maximum that is larger than the model’s', () => {
  it.each(FAMILIES)('is refused in the shape of %s, naming the field and what the model can give', async (family) => {
    const before = await counters()
    const response = await send(family, json(family, { max_tokens: 10_000_000 }))
    expect(response.status).toBe(400)
    expect(await response.text()).toMatch(/max_tokens is more than this model can give\. Lower it to \d+ or less\./)
    expect(await counters()).toEqual(before)
  })
})

describe('a caller that leaves while it sends', () => {
  it('leaves nothing behind that is held', async () => {
    const before = await counters()
    const { hostname, port } = new URL(gateway.url)
    const socket = connect(Number(port), hostname)
    const head = Object.entries({ ...headersOf('openai'), host: hostname, 'content-length': '1000' })
    socket.write(
      `POST ${PATHS.openai} HTTP/1.1\r\n${head.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`,
    )
    socket.write('{"model":', () => socket.destroy())
    await once(socket, 'close')
    expect((await fetch(`${gateway.url}/livez`)).status).toBe(200)
    expect(await counters()).toEqual(before)
    expect(gateway.log()).not.toContain('"level":50')
  })
})
