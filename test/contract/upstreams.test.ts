import { createServer } from 'node:net'
import { gzipSync } from 'node:zlib'

import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'
import { Agent, fetch as undiciFetch } from 'undici'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'

import { createUpstreams } from '../../src/adapters/providers/upstreams.ts'
import type { UpstreamsOptions } from '../../src/adapters/providers/upstreams.ts'
import { startSimulator } from '../../src/adapters/simulator/simulator.ts'
import type { Upstream } from '../../src/domain/policy/policy.ts'
import { UpstreamFailure } from '../../src/domain/failures.ts'
import type { UpstreamCall, UpstreamReply, Upstreams } from '../../src/ports.ts'
import { startLoopback } from '../adapters/providers/loopback.ts'
import type { Loopback } from '../adapters/providers/loopback.ts'

const SECRET = 'sk-test-0123456789'

let provider: Loopback
let agent: Agent
let secret: string
let upstreams: Upstreams

const create = (options: Partial<UpstreamsOptions> = {}) =>
  createUpstreams({ dispatcherFor: () => agent, secretOf: () => secret, userAgent: 'tollgate/1.2.3', ...options })

beforeAll(async () => {
  provider = await startLoopback()
  agent = new Agent()
})

afterAll(async () => {
  await agent.destroy()
  await provider[Symbol.asyncDispose]()
})

beforeEach(async () => {
  secret = SECRET
  provider.seen.length = 0
  provider.handle = (_request, response) => {
    response.writeHead(200, { 'content-type': 'application/json' }).end('{"ok":true}')
  }
  upstreams = create()
})

const upstream = (changes: Partial<Upstream> = {}): Upstream => ({
  name: 'main',
  provider: 'openai',
  baseUrl: `${provider.url}/v1`,
  region: undefined,
  models: new Map(),
  keys: [{ id: 'first', secret: 'env:KEY' }],
  optional: false,
  simulation: undefined,
  ...changes,
})

const call = (changes: Partial<UpstreamCall> = {}): UpstreamCall => ({
  upstream: upstream(),
  dialect: 'openai-chat',
  body: Buffer.from('{ "seed": 12345678901234567890, "model": "m" }'),
  stream: false,
  headers: {},
  signal: new AbortController().signal,
  ...changes,
})

const textOf = async (reply: UpstreamReply) => {
  const chunks: Uint8Array[] = []
  for await (const chunk of reply.body) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

const failureOf = async (promise: Promise<unknown>): Promise<UpstreamFailure> => {
  const error = await promise.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(error instanceof UpstreamFailure)) throw new Error(`no UpstreamFailure but ${String(error)}`)
  return error
}

describe('the head', () => {
  /** Headers that each HTTP client writes for itself, and the SDKs' telemetry. */
  const OWN =
    /^(?:host|connection|content-length|user-agent|accept-encoding|accept-language|sec-fetch-mode|x-stainless-.*)$/
  const headOf = () => {
    const request = provider.seen.at(-1)
    const headers = Object.entries(request?.headers ?? {}).filter(([name]) => !OWN.test(name))
    return { method: request?.method, path: request?.path, headers: Object.fromEntries(headers) }
  }

  const messages = [{ role: 'user' as const, content: 'x' }]
  const fetch = undiciFetch as unknown as typeof globalThis.fetch
  const routes = [
    {
      dialect: 'openai-chat' as const,
      upstream: () => upstream(),
      viaSdk: (stream: boolean) =>
        new OpenAI({ apiKey: secret, baseURL: `${provider.url}/v1`, maxRetries: 0, fetch }).chat.completions.create({
          model: 'm',
          messages,
          stream,
        }),
    },
    {
      dialect: 'anthropic-messages' as const,
      upstream: () => upstream({ provider: 'anthropic', baseUrl: provider.url }),
      viaSdk: (stream: boolean) =>
        new Anthropic({ apiKey: secret, authToken: null, baseURL: provider.url, maxRetries: 0, fetch }).messages.create(
          {
            model: 'm',
            max_tokens: 1,
            messages,
            stream,
          },
        ),
    },
  ]

  for (const route of routes) {
    for (const stream of [false, true]) {
      it(`is what the SDK sends: ${route.dialect}, ${stream ? 'stream' : 'whole'}`, async () => {
        await route.viaSdk(stream)
        const expected = headOf()
        await textOf(await upstreams.send(call({ upstream: route.upstream(), dialect: route.dialect, stream })))
        expect(headOf()).toEqual(expected)
        expect(expected.headers['authorization']).toBe(`Bearer ${SECRET}`)
      })
    }
  }

  it('names the gateway and not the SDK or the caller', async () => {
    await textOf(await upstreams.send(call({ headers: { 'user-agent': 'claude-cli/2', cookie: 'a=b' } })))
    const headers = provider.seen[0]?.headers ?? {}
    expect(headers['user-agent']).toBe('tollgate/1.2.3')
    expect(Object.keys(headers).filter((name) => name.startsWith('x-stainless') || name === 'cookie')).toEqual([])
  })

  it('is built anew when the secret rotates, and not before', async () => {
    const target = upstream()
    for (const next of [SECRET, SECRET, 'sk-rotated']) {
      secret = next
      await textOf(await upstreams.send(call({ upstream: target })))
    }
    const sent = provider.seen.map(({ headers }) => headers['authorization'])
    expect(sent).toEqual([`Bearer ${SECRET}`, `Bearer ${SECRET}`, 'Bearer sk-rotated'])
  })

  it("forwards the caller's anthropic-version and anthropic-beta unchanged, and its credential never", async () => {
    const headers = {
      'anthropic-version': '2023-06-01',
      'anthropic-beta': 'a-1,b-2',
      authorization: 'Bearer caller',
      'x-api-key': 'caller',
    }
    const target = upstream({ provider: 'anthropic', baseUrl: provider.url })
    await textOf(await upstreams.send(call({ upstream: target, dialect: 'anthropic-messages', headers })))
    expect(provider.seen[0]?.headers).toMatchObject({ 'anthropic-version': '2023-06-01', 'anthropic-beta': 'a-1,b-2' })
    expect(JSON.stringify(provider.seen[0]?.headers)).not.toContain('caller')
  })

  it('is not changed by the environment of the SDKs', async () => {
    process.env['OPENAI_CUSTOM_HEADERS'] = 'x-from-env: yes'
    process.env['OPENAI_ORG_ID'] = 'org-from-env'
    try {
      await textOf(await upstreams.send(call()))
    } finally {
      delete process.env['OPENAI_CUSTOM_HEADERS']
      delete process.env['OPENAI_ORG_ID']
    }
    expect(JSON.stringify(provider.seen[0]?.headers)).not.toContain('from-env')
  })

  it('is refused when the environment replaces the configured key', async () => {
    process.env['OPENAI_CUSTOM_HEADERS'] = 'Authorization: Bearer other'
    try {
      expect(await failureOf(upstreams.send(call()))).toMatchObject({ kind: 'connect', sent: false })
    } finally {
      delete process.env['OPENAI_CUSTOM_HEADERS']
    }
    expect(provider.seen).toEqual([])
  })
})

describe('the exchange', () => {
  it("carries the caller's bytes unchanged", async () => {
    await textOf(await upstreams.send(call()))
    expect(provider.seen[0]?.body.toString()).toBe('{ "seed": 12345678901234567890, "model": "m" }')
  })

  it('relays status, content type and retry advice, and nothing of the shared key', async () => {
    provider.handle = (_request, response) => {
      response
        .writeHead(429, {
          'content-type': 'application/json',
          'retry-after': '7',
          'x-should-retry': 'false',
          'x-ratelimit-remaining-requests': '3',
          'set-cookie': 'a=b',
          'x-request-id': 'req_1',
        })
        .end('{"error": {"message":  "slow down"}}')
    }
    const reply = await upstreams.send(call())
    expect(reply.status).toBe(429)
    expect(reply.requestId).toBe('req_1')
    expect(reply.headers).toEqual({
      'content-type': 'application/json',
      'retry-after': '7',
      'x-should-retry': 'false',
    })
    expect(await textOf(reply)).toBe('{"error": {"message":  "slow down"}}')
  })

  it('reads compressed answers although it did not ask for them', async () => {
    provider.handle = (_request, response) => {
      response
        .writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' })
        .end(gzipSync('{"zipped":true}'))
    }
    expect(await textOf(await upstreams.send(call()))).toBe('{"zipped":true}')
  })

  it('says that a compressed answer is broken when it is', async () => {
    provider.handle = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end('not gzip')
    }
    expect(await failureOf(upstreams.send(call()).then(textOf))).toMatchObject({ kind: 'bad_response', sent: true })
  })

  it('reads on where it stopped when a slow reader comes back, and loses nothing', async () => {
    const size = 8 * 1024 * 1024
    provider.handle = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end(Buffer.alloc(size, 'x'))
    }
    const reply = await upstreams.send(call())
    let read = 0
    for await (const chunk of reply.body) {
      read += chunk.length
      // A turn of the event loop for each piece, in which more arrives than is taken.
      await new Promise((resolve) => setImmediate(resolve))
    }
    expect(read).toBe(size)
  })

  it('passes on each piece as it comes, and stops the upstream when the reader is slow', async () => {
    let written = 0
    provider.handle = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      const piece = Buffer.alloc(64 * 1024, 'x')
      const pump = () => {
        while (written < 64 * 1024 * 1024) {
          written += piece.length
          if (!response.write(piece)) {
            response.once('drain', pump)
            return
          }
        }
        response.end()
      }
      pump()
    }
    const reply = await upstreams.send(call({ stream: true }))
    for await (const _chunk of reply.body) {
      await new Promise((resolve) => setTimeout(resolve, 100))
      break
    }
    expect(written).toBeLessThan(32 * 1024 * 1024)
  })
})

describe('failures', () => {
  it('connect: nothing was sent when nobody listens', async () => {
    const closed = createServer()
    await new Promise<void>((resolve) => closed.listen(0, '127.0.0.1', resolve))
    const address = closed.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    await new Promise((resolve) => closed.close(resolve))
    const failure = await failureOf(
      upstreams.send(call({ upstream: upstream({ baseUrl: `http://127.0.0.1:${port}` }) })),
    )
    expect(failure).toMatchObject({ kind: 'connect', sent: false })
  })

  it('timeout: the request was sent when no headers come', async () => {
    provider.handle = () => undefined
    upstreams = create({ timeouts: { headersMs: 50, bodyMs: 50 } })
    expect(await failureOf(upstreams.send(call()))).toMatchObject({ kind: 'timeout', sent: true })
  })

  it('timeout: between two pieces of the body', async () => {
    provider.handle = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    }
    upstreams = create({ timeouts: { headersMs: 5000, bodyMs: 50 } })
    const reply = await upstreams.send(call({ stream: true }))
    expect(await failureOf(textOf(reply))).toMatchObject({ kind: 'timeout', sent: true })
  })

  it('reset: before the headers, and in the body after all that was received', async () => {
    provider.handle = (_request, response) => response.destroy()
    expect(await failureOf(upstreams.send(call()))).toMatchObject({ kind: 'reset', sent: true })
    provider.handle = (_request, response) => {
      response.writeHead(200, { 'content-type': 'text/event-stream' })
      response.write('data: 1\n\n', () => response.destroy())
    }
    const reply = await upstreams.send(call({ stream: true }))
    const received: string[] = []
    const read = async () => {
      for await (const chunk of reply.body) received.push(Buffer.from(chunk).toString())
    }
    expect(await failureOf(read())).toMatchObject({ kind: 'reset', sent: true })
    expect(received.join('')).toBe('data: 1\n\n')
  })

  it('aborted: not sent before the call, sent after it, and in the body', async () => {
    const early = AbortSignal.abort()
    expect(await failureOf(upstreams.send(call({ signal: early })))).toMatchObject({ kind: 'aborted', sent: false })
    const controller = new AbortController()
    provider.handle = () => controller.abort()
    const { signal } = controller
    expect(await failureOf(upstreams.send(call({ signal })))).toMatchObject({ kind: 'aborted', sent: true })
    const later = new AbortController()
    let closed: Promise<unknown> = Promise.resolve()
    provider.handle = (_request, response) => {
      closed = new Promise((resolve) => response.once('close', resolve))
      response.writeHead(200, { 'content-type': 'text/event-stream' }).write('data: 1\n\n')
    }
    const reply = await upstreams.send(call({ stream: true, signal: later.signal }))
    const read = failureOf(textOf(reply))
    later.abort()
    expect(await read).toMatchObject({ kind: 'aborted', sent: true })
    await closed
  })

  it('bad_response: redirects are not followed', async () => {
    provider.handle = (_request, response) => {
      response.writeHead(307, { location: `${provider.url}/elsewhere` }).end()
    }
    expect(await failureOf(upstreams.send(call()))).toMatchObject({ kind: 'bad_response', sent: true })
    expect(provider.seen).toHaveLength(1)
  })

  it('connect: an upstream without a usable secret is never called', async () => {
    for (const unusable of [undefined, '', 'sk-with\nnewline']) {
      upstreams = create({ secretOf: () => unusable })
      const failure = await failureOf(upstreams.send(call()))
      expect(failure).toMatchObject({ kind: 'connect', sent: false })
      expect(failure.message).toMatch(/no secret is configured|characters that a header cannot carry/)
    }
    expect(provider.seen).toEqual([])
  })

  it('never has the secret in its message, cause or stack', async () => {
    secret = `${SECRET}\u0007`
    const unusable = await failureOf(upstreams.send(call()))
    secret = SECRET
    provider.handle = (_request, response) => response.destroy()
    const broken = await failureOf(upstreams.send(call()))
    for (const failure of [unusable, broken]) {
      const { inspect } = await import('node:util')
      expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain(SECRET)
    }
  })
})

describe('the simulator as an upstream', () => {
  const dialects = ['openai-chat', 'anthropic-messages'] as const
  it.each(dialects)('is reached under its name: %s', async (dialect) => {
    const simulation = { latencyMs: 0, tokensPerSecond: 0, outputTokens: 2 }
    await using simulator = await startSimulator({
      upstreamNamed: (name) => (name === 'sim one' ? { models: ['m'], simulation } : undefined),
    })
    await using simulated = create({ simulatorUrl: simulator.url, secretOf: () => undefined })
    const target = upstream({ name: 'sim one', provider: 'simulator', baseUrl: undefined, keys: [] })
    const body = Buffer.from('{"model":"m","max_tokens":5,"messages":[{"role":"user","content":"x"}]}')
    const reply = await simulated.send(call({ upstream: target, dialect, body }))
    expect(reply.status).toBe(200)
    expect(JSON.parse(await textOf(reply))).toHaveProperty('usage')
  })
})
