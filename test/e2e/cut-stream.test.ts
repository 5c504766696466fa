import OpenAI from 'openai'
import Anthropic from '@anthropic-ai/sdk'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { nano, recordsOf, settledIn, settledRecords, standingOf } from '../support/books.ts'
import { openStream, post } from '../support/calls.ts'
import type { OpenStream } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'

const POLICIES = policySet(`
budgets:
  - name: dollars
    key: [tenant]
    limit: {usd: "1000.00", period: lifetime}
`)

let gateway: RunningGateway
let token: string

beforeAll(async () => {
  gateway = await startGateway({ policies: POLICIES })
  token = await gateway.token()
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
})

/** Both wire formats, with what differs between them. */
const OPENAI = {
  dialect: 'openai-chat',
  path: '/v1/chat/completions',
  model: 'sim-small',
  end: 'data: [DONE]',
  errorFrame: /data: \{"error":\{.*\}\}\n\n$/,
}
const ANTHROPIC = {
  dialect: 'anthropic-messages',
  path: '/v1/messages',
  model: 'sim-claude',
  end: 'event: message_stop',
  errorFrame: /event: error\ndata: \{"type":"error",.*\}\n\n$/,
}
const DIALECTS = [OPENAI, ANTHROPIC]
type Wire = (typeof DIALECTS)[number]

function ask(wire: Wire, directives: string, stream: boolean) {
  const messages = [{ role: 'user', content: `[[simulate ${directives}]]` }]
  return { url: gateway.url, token, path: wire.path, body: { model: wire.model, max_tokens: 200, messages, stream } }
}

/** The settlement of one call, with the members that say what it cost and how that is known. */
async function settlementOf(id: string) {
  const records = await settledRecords([gateway.dataDir], { id })
  const found = records.find((record) => record.type === 'settle')
  if (found === undefined) throw new Error(`no settlement of ${id}`)
  const { in: input, out: output } = membersOf(found['use'])
  const usd = membersOf(found['usd'])
  return { out: found['out'], basis: found['basis'], input, output, usd: nano(usd['act']), bound: nano(usd['est']) }
}

async function leaveAfter(stream: OpenStream, events: number): Promise<void> {
  await stream.seen(events)
  stream.leave()
  await stream.ended
}

/** What the same call comes to when nobody cuts it. */
async function whole(wire: Wire, directives: string) {
  const stream = await openStream(ask(wire, directives, true))
  expect(await stream.ended).toBe('clean')
  expect(stream.text()).toContain(wire.end)
  return settlementOf(stream.id)
}

describe.each(DIALECTS)('$dialect: a stream that its caller leaves after three chunks', (wire) => {
  it('is settled with the usage that the provider reports at its end', async () => {
    const directives = 'tokens=80 speed=100'
    const uncut = await whole(wire, directives)
    expect(uncut).toMatchObject({ out: 'ok', basis: 'provider_usage', output: 80 })

    const stream = await openStream(ask(wire, directives, true))
    await leaveAfter(stream, 3)
    expect(stream.text()).not.toContain(wire.end)
    expect(await settlementOf(stream.id)).toEqual({ ...uncut, out: 'client_abort' })
  })

  it('is settled by its counted output when the provider reports no usage, and the record says so', async () => {
    const stream = await openStream(ask(wire, 'tokens=80 speed=100 no-usage', true))
    await leaveAfter(stream, 3)
    const settled = await settlementOf(stream.id)
    expect(settled).toMatchObject({ out: 'client_abort', basis: 'counted_output', output: 80 })
    expect(settled.input).toBeGreaterThan(0)
    expect(settled.usd).toBeGreaterThan(0n)
    expect(settled.usd).toBeLessThanOrEqual(settled.bound)
  })
})

describe.each(DIALECTS)('$dialect: a stream that its upstream breaks off', (wire) => {
  it('ends with an error frame and a broken connection, and is settled by its counted output', async () => {
    const stream = await openStream(ask(wire, 'tokens=80 speed=100 cut=3', true))
    expect(await stream.ended).toBe('broken')
    expect(stream.text()).toMatch(wire.errorFrame)
    expect(stream.text()).not.toContain(wire.end)
    expect(await settlementOf(stream.id)).toMatchObject({ out: 'upstream_error', basis: 'counted_output', output: 3 })
  })
})

describe('an upstream that breaks a stream off', () => {
  const messages = [{ role: 'user' as const, content: '[[simulate tokens=80 speed=100 cut=3]]' }]

  it('makes the official openai client throw', async () => {
    const openai = new OpenAI({ apiKey: token, baseURL: `${gateway.url}/v1` })
    const stream = await openai.chat.completions.create({ model: 'sim-small', messages, stream: true })
    let text = ''
    const read = async () => {
      for await (const chunk of stream) text += chunk.choices[0]?.delta.content ?? ''
    }
    await expect(read()).rejects.toBeInstanceOf(OpenAI.APIError)
    expect(text).not.toBe('')
  })

  it('makes the official @anthropic-ai/sdk client throw', async () => {
    const anthropic = new Anthropic({ apiKey: token, baseURL: gateway.url })
    const stream = anthropic.messages.stream({ model: 'sim-claude', max_tokens: 200, messages })
    await expect(stream.finalMessage()).rejects.toBeInstanceOf(Anthropic.APIError)
  })
})

describe.each(DIALECTS)('$dialect: an upstream that refuses before any token', (wire) => {
  it.each([400, 401, 404, 429])(
    'with %i: its body goes to the caller as it is, and nothing is charged',
    async (status) => {
      const response = await post(ask(wire, `status=${status}`, true))
      expect(response.status).toBe(status)
      expect(await response.text()).toContain(`"message":"Simulated status ${status}."`)
      expect(response.headers.get('retry-after')).toBe(status === 429 ? '1' : null)
      const settled = await settlementOf(response.headers.get('x-request-id') ?? '')
      expect(settled).toMatchObject({ out: 'upstream_refused', basis: 'none', input: 0, output: 0, usd: 0n })
    },
  )

  it.each([500, 503, 529])('with %i: its body goes to the caller, and its input is charged', async (status) => {
    const response = await post(ask(wire, `status=${status}`, false))
    expect(response.status).toBe(status)
    expect(await response.text()).toContain(`"message":"Simulated status ${status}."`)
    const settled = await settlementOf(response.headers.get('x-request-id') ?? '')
    expect(settled).toMatchObject({ out: 'upstream_error', basis: 'estimate', output: 0 })
    expect(settled.usd).toBeGreaterThan(0n)
    expect(settled.usd).toBeLessThan(settled.bound)
  })

  it('by closing the connection in the middle of a whole answer: 502, and its input is charged', async () => {
    const response = await post(ask(wire, 'tokens=80 cut=3', false))
    expect(response.status).toBe(502)
    expect(JSON.parse(await response.text())).toHaveProperty('error')
    const settled = await settlementOf(response.headers.get('x-request-id') ?? '')
    expect(settled).toMatchObject({ out: 'upstream_error', basis: 'estimate', output: 0 })
    expect(settled.usd).toBeGreaterThan(0n)
  })
})

it('after all of that nothing is held, and the ledger has what the log has', async () => {
  await settledRecords([gateway.dataDir])
  const { used, held } = await standingOf(gateway.url, token, 'dollars')
  expect(nano(used)).toBe(settledIn(await recordsOf(gateway.dataDir)))
  expect(nano(held)).toBe(0n)
})
