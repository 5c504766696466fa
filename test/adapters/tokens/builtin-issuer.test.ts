import { chmod, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openBuiltinIssuer, TOKEN_TTL_MAX_S } from '../../../src/adapters/tokens/builtin-issuer.ts'
import type { TokenRequest } from '../../../src/adapters/tokens/builtin-issuer.ts'
import { inspectToken } from '../../../src/adapters/tokens/inspect-token.ts'
import { createTokenVerifier } from '../../../src/adapters/tokens/verifier.ts'
import { BUILTIN_AUDIENCE, BUILTIN_CLAIM_MAP, BUILTIN_ISSUER_URL } from '../../../src/domain/claims.ts'
import { FixedClock, NOW_S, outcome, ruleOf } from './identity-provider.ts'

let dir: string
let clock: FixedClock

beforeEach(async () => {
  dir = join(await mkdtemp(join(tmpdir(), 'tollgate-builtin-')), 'keys')
  clock = new FixedClock()
})

afterEach(() => rm(join(dir, '..'), { recursive: true }))

const open = () => openBuiltinIssuer({ dir, clock })
const keyFile = () => join(dir, 'builtin-issuer.pem')
const issue = async (request: TokenRequest) => (await open()).issue(request)

async function verifierOf() {
  const rules = [
    ruleOf({
      name: 'dev',
      issuer: BUILTIN_ISSUER_URL,
      keys: { kind: 'builtin' },
      audiences: [BUILTIN_AUDIENCE],
      types: ['at+jwt'],
      requireTokenId: true,
      runHeader: false,
      map: BUILTIN_CLAIM_MAP,
      lifetimeMaxMs: TOKEN_TTL_MAX_S * 1_000,
    }),
  ]
  const fetchDocument = () => Promise.reject(new Error('not by URL'))
  return createTokenVerifier({ issuers: () => rules, clock, builtin: await open(), fetchDocument })
}

describe('the key', () => {
  it('is made on first start, for its owner alone, and is the same ever after', async () => {
    const made = (await open()).jwks()
    expect((await stat(keyFile())).mode & 0o777).toBe(0o600)
    expect((await stat(dir)).mode & 0o777).toBe(0o700)
    expect((await open()).jwks()).toEqual(made)
    expect(await readdir(dir)).toEqual(['builtin-issuer.pem'])
  })

  it('is one key, however many processes start at once', async () => {
    const opened = await Promise.all(Array.from({ length: 8 }, open))
    const kids = new Set(opened.map((issuer) => JSON.stringify(issuer.jwks())))
    expect(kids.size).toBe(1)
    expect(await readdir(dir)).toEqual(['builtin-issuer.pem'])
  })

  it('is published without its private part, with the id of RFC 7638', async () => {
    const { keys } = (await open()).jwks()
    expect(keys).toEqual([
      {
        kty: 'OKP',
        crv: 'Ed25519',
        x: expect.any(String),
        kid: expect.stringMatching(/^[\w-]{43}$/),
        use: 'sig',
        alg: 'EdDSA',
      },
    ])
  })

  it('that others may read is refused with the command that mends it', async () => {
    await open()
    await chmod(keyFile(), 0o640)
    await expect(open()).rejects.toThrow(/builtin-issuer\.pem: others may read this signing key; run chmod 600/)
  })

  it('that is no Ed25519 key is refused and left as it is', async () => {
    await open()
    await writeFile(keyFile(), 'not a key')
    await expect(open()).rejects.toThrow(
      /builtin-issuer\.pem: not an Ed25519 private key in PEM; restore it, or delete it/,
    )
    expect(await readFile(keyFile(), 'utf8')).toBe('not a key')
  })
})

describe('a token', () => {
  it('carries every dimension it was made for, and passes the ordinary checks', async () => {
    const token = await issue({
      tenant: 'acme',
      team: 'search',
      user: 'ada',
      agent: 'crawler',
      roles: ['agent', 'dev'],
      classification: 'internal',
      tier: 'gold',
      lane: 'batch',
      claims: { residency: 'eu', groups: ['g'] },
      ttlSeconds: 900,
    })
    expect(inspectToken(token)).toMatchObject({
      header: { alg: 'EdDSA', typ: 'at+jwt' },
      payload: { iss: BUILTIN_ISSUER_URL, aud: BUILTIN_AUDIENCE, sub: 'ada', iat: NOW_S, exp: NOW_S + 900 },
    })
    const verdict = await (await verifierOf()).verify(token)
    expect(verdict).toMatchObject({
      kind: 'verified',
      identity: {
        single: {
          tenant: 'acme',
          team: 'search',
          user: 'ada',
          agent: 'crawler',
          classification: 'internal',
          tier: 'gold',
          lane: 'batch',
          residency: 'eu',
          issuer: 'dev',
        },
        list: { role: ['agent', 'dev'], group: ['g'] },
        tokenId: expect.stringMatching(/^[0-9a-f-]{36}$/),
      },
    })
  })

  it('does not claim what it was not made for', async () => {
    const payload = inspectToken(await issue({ user: 'ada' }))?.payload ?? {}
    expect(Object.keys(payload).sort()).toEqual(['aud', 'exp', 'iat', 'iss', 'jti', 'sub'])
  })

  it('of an agent that acts for itself has the agent as its subject', async () => {
    expect(inspectToken(await issue({ agent: 'crawler' }))?.payload).toMatchObject({ sub: 'crawler', agent: 'crawler' })
  })

  it('ends when it says: issuer and gateway read one clock', async () => {
    const verifier = await verifierOf()
    const token = await issue({ user: 'ada', ttlSeconds: 1 })
    expect(await outcome(verifier.verify(token))).toBe('verified')
    clock.advance(1_000)
    expect(await verifier.verify(token)).toMatchObject({ public: 'expired', reason: 'expired' })
  })

  it('of another installation is not accepted', async () => {
    const verifier = await verifierOf()
    await rm(keyFile())
    expect(await outcome(verifier.verify(await issue({ user: 'ada' })))).toBe('unknown_kid')
  })

  it.each<[string, TokenRequest, RegExp]>([
    ['no subject', { tenant: 'acme' }, /^user: missing/],
    ['a life of nothing', { user: 'a', ttlSeconds: 0 }, /^ttlSeconds: 0; whole seconds from 1 to 2592000/],
    ['half a second', { user: 'a', ttlSeconds: 0.5 }, /^ttlSeconds: 0\.5/],
    ['a life beyond a month', { user: 'a', ttlSeconds: TOKEN_TTL_MAX_S + 1 }, /^ttlSeconds: 2592001/],
    ['an empty team', { user: 'a', team: '' }, /^team: is empty/],
    ['a control character in a role', { user: 'a', roles: ['ok', 'a\tb'] }, /^roles\[1\]: holds a control/],
    ['too many roles', { user: 'a', roles: Array.from({ length: 501 }, () => 'r') }, /^roles: 501 values/],
    ['a claim of its own by another way', { user: 'a', claims: { sub: 'root' } }, /^claims\.sub: has an option/],
    ['a foreign audience by another way', { user: 'a', claims: { aud: 'x' } }, /^claims\.aud: has an option/],
    ['more than fits', { user: 'a', claims: { pad: 'x'.repeat(9_000) } }, /characters; at most 8192/],
  ])('is refused for %s', async (_, request, message) => {
    await expect(issue(request)).rejects.toThrow(message)
  })
})
