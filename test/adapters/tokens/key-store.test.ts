/** Keys by URL from a real server, through the guard; keys by file; and time by a fixed clock. */
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { RequestListener, Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createDocumentFetcher } from '../../../src/adapters/destinations/document.ts'
import type { FetchDocument } from '../../../src/adapters/tokens/key-source.ts'
import { createTokenVerifier } from '../../../src/adapters/tokens/verifier.ts'
import { FixedClock, jwks, makeKey, NOW_S, outcome, ruleOf, signToken } from './identity-provider.ts'
import type { SigningKey } from './identity-provider.ts'

const first = makeKey('ES256', 'k1')
const second = makeKey('ES256', 'k2')

/** Good for a day, as an advancing clock needs. */
const tokenOf = (key: SigningKey, more: Record<string, unknown> = {}) =>
  signToken(key, { exp: NOW_S + 86_400, ...more })

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS

/** Lets a read that a token started in the background come to its end. */
async function settle(isDone: () => boolean): Promise<void> {
  for (let turn = 0; turn < 100_000 && !isDone(); turn += 1) await setImmediate()
  await setImmediate()
}

describe('keys by URL', () => {
  let server: Server
  let url: string
  let answer: RequestListener
  let requests = 0
  let clock: FixedClock
  let problems: string[]
  let documents: ReturnType<typeof createDocumentFetcher>

  const publish = (...keys: SigningKey[]) => {
    answer = (_, response) => response.end(jwks(...keys))
  }
  const open = (fetchDocument: FetchDocument = (...args) => documents.fetch(...args)) => {
    const rules = [ruleOf({ keys: { kind: 'url', url } })]
    const report = (_: string, problem: string) => problems.push(problem)
    return createTokenVerifier({ issuers: () => rules, clock, fetchDocument, report })
  }

  beforeEach(async () => {
    requests = 0
    problems = []
    clock = new FixedClock()
    documents = createDocumentFetcher({ allowPrivate: () => ['127.0.0.1/32'] })
    publish(first)
    server = createServer((request, response) => {
      requests += 1
      answer(request, response)
    })
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    url = `http://127.0.0.1:${typeof address === 'object' ? address?.port : ''}/certs`
  })

  afterEach(async () => {
    await documents[Symbol.asyncDispose]()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  })

  it('are fetched once, however many first calls come together', async () => {
    const verifier = open()
    const outcomes = await Promise.all(
      Array.from({ length: 20 }, (_, index) => outcome(verifier.verify(tokenOf(first, { jti: `${index}` })))),
    )
    expect(new Set(outcomes)).toEqual(new Set(['verified']))
    expect(requests).toBe(1)
  })

  it('a new key is found by the first token that it signed', async () => {
    const verifier = open()
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
    publish(first, second)
    const both = [verifier.verify(tokenOf(second)), verifier.verify(tokenOf(second, { jti: 'other' }))]
    expect(await Promise.all(both.map(outcome))).toEqual(['verified', 'verified'])
    expect(requests).toBe(2)
  })

  it('fifty made-up key ids cause one fetch, and another after 30 seconds', async () => {
    const verifier = open()
    await verifier.verify(tokenOf(first))
    const attack = async () => {
      for (let index = 0; index < 50; index += 1) {
        const token = signToken(second, {}, { kid: `made-up-${index}` })
        expect(await outcome(verifier.verify(token))).toBe('unknown_kid')
      }
    }
    await attack()
    expect(requests).toBe(2)
    clock.advance(29_999)
    await attack()
    expect(requests).toBe(2)
    clock.advance(1)
    await attack()
    expect(requests).toBe(3)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
  })

  it('older than ten minutes are used at once and read again behind it; a key that left stops at the next token', async () => {
    const verifier = open()
    await verifier.verify(tokenOf(first))
    publish(second)
    clock.advance(10 * MINUTE_MS - 1)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
    expect(requests).toBe(1)
    clock.advance(1)
    expect(await outcome(verifier.verify(tokenOf(first, { jti: 'behind' })))).toBe('verified')
    await settle(() => verifier.keyAges()[0]?.ageMs === 0)
    expect(requests).toBe(2)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('unknown_kid')
    expect(await outcome(verifier.verify(tokenOf(second)))).toBe('verified')
  })

  it('a cached verdict goes with its key, although the token is still good', async () => {
    const verifier = open()
    const token = tokenOf(first)
    clock.advance(9.5 * MINUTE_MS)
    await verifier.verify(token)
    publish(second)
    clock.advance(10 * MINUTE_MS - 30_000)
    await verifier.verify(token)
    clock.advance(30_000)
    expect(await outcome(verifier.verify(token)), 'a hit starts the read').toBe('verified')
    await settle(() => verifier.keyAges()[0]?.ageMs === 0)
    expect(await outcome(verifier.verify(token))).toBe('unknown_kid')
  })

  it('serve on for 24 hours while the provider answers 500, and no longer; the operator is told', async () => {
    const verifier = open()
    await verifier.verify(tokenOf(first))
    answer = (_, response) => response.writeHead(500).end()
    clock.advance(24 * HOUR_MS - 1)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
    await settle(() => problems.length > 0)
    expect(problems).toEqual([expect.stringMatching(/answered 500/)])
    clock.advance(1)
    expect(await outcome(verifier.verify(tokenOf(first, { jti: 'late' })))).toBe('keys_unavailable')
    publish(first)
    clock.advance(5_000)
    expect(await outcome(verifier.verify(signToken(first, { iat: NOW_S + 86_000, exp: NOW_S + 90_000 })))).toBe(
      'verified',
    )
  })

  it('a failed read is not repeated for five seconds', async () => {
    answer = (_, response) => response.writeHead(503).end()
    const verifier = open()
    for (let call = 0; call < 10; call += 1) {
      expect(await outcome(verifier.verify(tokenOf(first)))).toBe('keys_unavailable')
    }
    expect(requests).toBe(1)
    clock.advance(5_000)
    publish(first)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
  })

  it.each<[string, RequestListener, RegExp]>([
    ['a redirect', (_, response) => response.writeHead(302, { location: '/elsewhere' }).end(), /answered 302/],
    ['20 MB', (_, response) => response.end(Buffer.alloc(20_000_000, 0x20)), /larger than 524288 bytes/],
    ['no JSON', (_, response) => response.end('<html>'), /is not JSON/],
    ['another JSON', (_, response) => response.end('{"key":[]}'), /has no list "keys"/],
    ['101 keys', (_, response) => response.end(jwks(...Array.from({ length: 101 }, () => first))), /at most 100/],
    ['a broken connection', (request) => request.socket.destroy(), /./],
  ])('a provider that answers with %s gives no keys', async (_, broken, problem) => {
    answer = broken
    expect(await outcome(open().verify(tokenOf(first)))).toBe('keys_unavailable')
    expect(problems).toEqual([expect.stringMatching(problem)])
    expect(requests).toBe(1)
  })

  it('a provider that drips is given up after the time-out, and asked for no more than five seconds', async () => {
    answer = (_, response) => response.write('{')
    let asked = 0
    const verifier = open((address, limits) => {
      asked = limits.timeoutMs
      return documents.fetch(address, { ...limits, timeoutMs: 50 })
    })
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('keys_unavailable')
    expect(asked).toBe(5_000)
    expect(problems).toEqual([expect.stringMatching(/timeout/)])
  })

  it('plain http to a host that is not allowed is not even tried', async () => {
    const strict = createDocumentFetcher({ allowPrivate: () => [] })
    expect(await outcome(open((...args) => strict.fetch(...args)).verify(tokenOf(first)))).toBe('keys_unavailable')
    expect(requests).toBe(0)
    expect(problems).toEqual([expect.stringMatching(/allowPrivate/)])
  })

  it('survive a change of policy that leaves them alone, while the provider is away', async () => {
    let rules = [ruleOf({ keys: { kind: 'url', url } })]
    const verifier = createTokenVerifier({
      issuers: () => rules,
      clock,
      fetchDocument: (...args) => documents.fetch(...args),
    })
    await verifier.verify(tokenOf(first))
    answer = (_, response) => response.writeHead(500).end()
    rules = [ruleOf({ keys: { kind: 'url', url }, lifetimeMaxMs: 48 * HOUR_MS })]
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
    rules = [ruleOf({ keys: { kind: 'url', url: `${url}/other` } })]
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('keys_unavailable')
  })
})

describe('keys by file', () => {
  let dir: string
  let path: string
  let clock: FixedClock
  let problems: string[]

  beforeEach(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tollgate-jwks-'))
    path = join(dir, 'jwks.json')
    clock = new FixedClock()
    problems = []
    await writeFile(path, jwks(first))
  })

  afterEach(() => rm(dir, { recursive: true }))

  const open = () => {
    const rules = [ruleOf({ keys: { kind: 'file', path } })]
    const report = (_: string, problem: string) => problems.push(problem)
    const fetchDocument = () => Promise.reject(new Error('not by URL'))
    return createTokenVerifier({ issuers: () => rules, clock, fetchDocument, report })
  }

  /** A later time of change, whatever the resolution of the file system. */
  const replace = async (text: string) => {
    await writeFile(path, text)
    await utimes(path, new Date(), new Date(Date.now() + 5_000))
  }

  it('a key that is added works at once', async () => {
    const verifier = open()
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('verified')
    await replace(jwks(first, second))
    expect(await outcome(verifier.verify(tokenOf(second)))).toBe('verified')
  })

  it('a key that is taken out stops working two seconds later, cached verdicts included', async () => {
    const verifier = open()
    const token = tokenOf(first)
    expect(await outcome(verifier.verify(token))).toBe('verified')
    await replace(jwks(second))
    clock.advance(2_000)
    await verifier.verify(token)
    await settle(() => verifier.keyAges()[0]?.ageMs === 0)
    expect(await outcome(verifier.verify(token))).toBe('unknown_kid')
  })

  it('a file that is broken or gone leaves the known keys in force and is reported each time it is looked at', async () => {
    const verifier = open()
    await verifier.verify(tokenOf(first))
    await replace('{"keys":')
    for (const count of [1, 2]) {
      clock.advance(10_000)
      expect(await outcome(verifier.verify(tokenOf(first, { jti: `${count}` })))).toBe('verified')
      await settle(() => problems.length === count)
    }
    await rm(path)
    clock.advance(10_000)
    expect(await outcome(verifier.verify(tokenOf(first, { jti: 'gone' })))).toBe('verified')
    await settle(() => problems.length === 3)
    expect(problems).toEqual([
      expect.stringMatching(/not JSON/),
      expect.stringMatching(/not JSON/),
      expect.stringMatching(/ENOENT/),
    ])
    expect(verifier.keyAges()).toEqual([{ issuer: 'agents', ageMs: 30_000 }])
  })

  it('a file larger than 512 KiB is not read', async () => {
    await writeFile(path, ' '.repeat(512 * 1024 + 1))
    expect(await outcome(open().verify(tokenOf(first)))).toBe('keys_unavailable')
    expect(problems).toEqual([expect.stringMatching(/larger than 524288 bytes/)])
  })

  it('an empty set is a revocation and not a failure', async () => {
    const verifier = open()
    await verifier.verify(tokenOf(first))
    await replace('{"keys":[]}')
    clock.advance(2_000)
    await verifier.verify(tokenOf(first))
    await settle(() => verifier.keyAges()[0]?.ageMs === 0)
    expect(await outcome(verifier.verify(tokenOf(first)))).toBe('unknown_kid')
  })
})
