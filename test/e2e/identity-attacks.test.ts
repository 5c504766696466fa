/**
 * Credentials that must not be believed, against a running gateway whose provider counts what reaches it. Tokens are
 * signed by the real keys of three issuers.
 */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createPseudonyms } from '../../src/adapters/audit-log/pseudonyms.ts'
import { canonicalJson } from '../../src/domain/audit/canonical-json.ts'
import { leafHash } from '../../src/domain/audit/merkle.ts'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import type { Loopback } from '../adapters/providers/loopback.ts'
import { base64url, jwks, makeKey, publicPem, signToken, signWithHmac } from '../adapters/tokens/identity-provider.ts'
import type { SigningKey } from '../adapters/tokens/identity-provider.ts'
import { recordsOf, settledRecords } from '../support/books.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { askOf, FAMILIES, PATHS, PROVIDER_KEYS, providerPolicy, startProvider } from '../support/provider.ts'
import type { Family } from '../support/provider.ts'
import { readReceipt, readRefusal } from '../support/refusals.ts'
import { standingsOf } from '../support/standings.ts'

const CORP = 'https://idp.corp.example/'
const PARTNER = 'https://login.partner.example/'
const AUDIENCE = 'llm-gateway'

const rsa = makeKey('RS256', 'rsa-1')
const ec = makeKey('ES256', 'ec-1')
/** Of the other issuer, under a key id that both have. */
const partner = makeKey('ES256', 'ec-1')

const issuer = (name: string, iss: string, file: string, algorithms: string) => `
    - name: ${name}
      issuer: ${iss}
      jwks: {file: ${file}}
      audiences: [${AUDIENCE}]
      algorithms: [${algorithms}]
      map:
        tenant: {claim: tenant}
        team: {claim: team}
        user: {claim: sub}
        agent: {claim: agent}
        role: {pointer: /realm_access/roles}
        classification: {claim: data_classification}`

const rules = (folder: string, provider: Loopback) => `
apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: issuers}
identity:
  issuers:
    - {name: dev, builtin: true}
${issuer('corp', CORP, join(folder, 'corp.json'), 'RS256, ES256')}
${issuer('partner', PARTNER, join(folder, 'partner.json'), 'ES256')}
${providerPolicy(provider)}
access:
  default: deny
  rules:
    - {name: everybody, match: {}, allow: {}}
    - {name: roles, match: {role: [analyst, agent]}, allow: {}}
limits:
  - name: by-role
    key: [tenant, role]
    rates: [{requests: 1000, window: 1h, algorithm: fixed}]
  - name: by-team
    match: {tenant: teamwork}
    key: [tenant, team]
    concurrent: 10
budgets:
  - name: tenant-purse
    key: [tenant]
    limit: {usd: "5.00", period: lifetime}
`

let folder: string
let provider: Loopback
let gateway: RunningGateway

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-issuers-'))
  await writeFile(join(folder, 'corp.json'), jwks(rsa, ec))
  await writeFile(join(folder, 'partner.json'), jwks(partner))
  provider = await startProvider()
  gateway = await startGateway({ policies: rules(folder, provider), env: PROVIDER_KEYS })
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
  await provider[Symbol.asyncDispose]()
  await rm(folder, { recursive: true, force: true })
})

type Members = Record<string, unknown>

const seconds = () => Math.floor(Date.now() / 1_000)

function claims(more: Members = {}): Members {
  const iat = seconds() - 5
  const who = { sub: 'ada', tenant: 'acme', team: 'research', agent: 'writer', realm_access: { roles: ['analyst'] } }
  return { iss: CORP, aud: AUDIENCE, iat, exp: iat + 600, ...who, ...more }
}

const token = (key: SigningKey, more: Members = {}, header: Members = {}) => signToken(key, claims(more), header)

const unsigned = (alg: string) =>
  `${base64url(JSON.stringify({ alg, typ: 'at+jwt' }))}.${base64url(JSON.stringify(claims()))}.`

const bearer = (text: string) => ({ authorization: `Bearer ${text}` })

function call(family: Family, headers: Readonly<Record<string, string>>, body: object = askOf(family)) {
  const version: Record<string, string> = family === 'anthropic' ? { 'anthropic-version': '2023-06-01' } : {}
  return fetch(`${gateway.url}${PATHS[family]}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...version, ...headers },
    body: JSON.stringify(body),
  })
}

/** What every counter of these callers stands at. */
async function counters(): Promise<readonly unknown[]> {
  const callers = [token(rsa), token(rsa, { tenant: 'teamwork' })]
  const lists = await Promise.all(callers.map((caller) => standingsOf(gateway.url, caller)))
  return lists.flat().map(({ rule, used, held }) => ({ rule, used, held }))
}

interface Expected {
  readonly status: number
  readonly codes: Readonly<Record<Family, string>>
  readonly record: 'auth_failed' | 'decision'
  readonly reason: string
  readonly says?: string
}

const NOT_ACCEPTED = { status: 401, codes: { openai: 'invalid_api_key', anthropic: 'authentication_error' } }
const EXPIRED = { status: 401, codes: { openai: 'token_expired', anthropic: 'authentication_error' } }
const CONFLICT = { status: 400, codes: { openai: 'invalid_request_error', anthropic: 'invalid_request_error' } }
const INCOMPLETE = { status: 403, codes: { openai: 'identity_incomplete', anthropic: 'permission_error' } }

const stranger = (reason: string, more: object = {}): Expected => ({
  ...NOT_ACCEPTED,
  record: 'auth_failed',
  reason,
  ...more,
})

type Headers = Readonly<Record<string, string>>

const ATTACKS: readonly (readonly [string, () => Headers | Promise<Headers>, Expected])[] = [
  ['no credential', () => ({}), stranger('missing')],
  ['another scheme', () => ({ authorization: `Basic ${token(rsa)}` }), stranger('missing')],
  ['a text that is no token', () => bearer('sk-proj-0123456789abcdef'), stranger('malformed')],
  ['a wrong audience', () => bearer(token(rsa, { aud: 'payroll' })), stranger('wrong_audience', { says: 'audience' })],
  [
    'an expired token',
    () => bearer(token(ec, { iat: seconds() - 700, exp: seconds() - 100 })),
    { ...EXPIRED, record: 'auth_failed', reason: 'expired', says: 'expired' },
  ],
  ['alg: none', () => bearer(unsigned('none')), stranger('alg_not_allowed')],
  ['alg: NoNe', () => bearer(unsigned('NoNe')), stranger('alg_not_allowed')],
  [
    'HS256 signed with the public key',
    () => bearer(signWithHmac(publicPem(rsa), { alg: 'HS256', typ: 'at+jwt', kid: 'rsa-1' }, claims())),
    stranger('alg_not_allowed'),
  ],
  ['an unknown key id', () => bearer(token(rsa, {}, { kid: 'rsa-2' })), stranger('unknown_kid')],
  [
    'a key that the token brings along',
    () => bearer(token(partner, {}, { jwk: partner.publicJwk })),
    stranger('header_carries_key'),
  ],
  [
    'a place to fetch the key from',
    () => bearer(token(rsa, {}, { jku: `${provider.url}/jwks` })),
    stranger('header_carries_key'),
  ],
  ["the key of another issuer, under this issuer's name", () => bearer(token(partner)), stranger('bad_signature')],
  [
    'an issuer that nobody trusts',
    () => bearer(token(rsa, { iss: 'https://evil.example/' })),
    stranger('unknown_issuer'),
  ],
  [
    'the name of the built-in issuer, signed by another',
    () => bearer(token(rsa, { iss: 'https://tollgate.local/dev', aud: 'tollgate' })),
    stranger('alg_not_allowed'),
  ],
  [
    'a token that lives for a year',
    () => bearer(token(rsa, { exp: seconds() + 31_536_000 })),
    stranger('lifetime_too_long'),
  ],
  [
    'a role that is no text',
    () => bearer(token(rsa, { realm_access: { roles: [7] } })),
    stranger('claim_role_malformed'),
  ],
  [
    'a signature of which one character is another',
    () => {
      const [head, payload, signature = ''] = token(rsa).split('.')
      return bearer(`${head}.${payload}.${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`)
    },
    stranger('bad_signature'),
  ],
  [
    'two credentials that differ',
    () => ({ ...bearer(token(rsa)), 'x-api-key': token(ec) }),
    { ...CONFLICT, record: 'auth_failed', reason: 'conflict', says: 'x-api-key' },
  ],
  [
    'a good token and another word in x-api-key',
    () => ({ ...bearer(token(rsa)), 'x-api-key': 'other' }),
    { ...CONFLICT, record: 'auth_failed', reason: 'conflict', says: 'Authorization' },
  ],
  [
    'no role, although a limit counts by role',
    () => bearer(token(rsa, { realm_access: {} })),
    { ...INCOMPLETE, record: 'decision', reason: 'missing_dimension:role', says: 'role' },
  ],
  [
    'no role that any rule names',
    () => bearer(token(rsa, { realm_access: { roles: ['unheard-of'] } })),
    { ...INCOMPLETE, record: 'decision', reason: 'missing_dimension:role', says: 'role' },
  ],
  [
    'no team, although a limit counts by team',
    () => bearer(token(rsa, { tenant: 'teamwork', team: undefined })),
    { ...INCOMPLETE, record: 'decision', reason: 'missing_dimension:team', says: 'team' },
  ],
  [
    'no tenant, although everything counts by tenant',
    () => bearer(token(ec, { tenant: undefined })),
    { ...INCOMPLETE, record: 'decision', reason: 'missing_dimension:tenant', says: 'tenant' },
  ],
  [
    'no role in a token of the built-in issuer',
    async () => bearer(await gateway.token({ roles: [] })),
    { ...INCOMPLETE, record: 'decision', reason: 'missing_dimension:role', says: 'role' },
  ],
]

const cases = ATTACKS.flatMap(([name, headers, expected]) =>
  FAMILIES.map((family) => ({ name, family, headers, expected })),
)

describe('a credential that must not be believed', () => {
  it.each(cases)('$name is refused in the words of $family, on record, with nothing sent or held', async (attack) => {
    const { family, expected } = attack
    const before = { seen: provider.seen.length, counters: await counters() }
    const response = await call(family, await attack.headers())

    const id = response.headers.get('x-request-id') ?? ''
    expect(response.headers.get('request-id')).toBe(id)
    const receipt = await readReceipt(gateway.url, response)
    const refusal = await readRefusal(response, family)
    expect(refusal).toMatchObject({ status: expected.status, code: expected.codes[family], decisionId: id })
    expect(refusal.message).toContain(expected.says ?? '')
    const isExpired = expected.reason === 'expired'
    expect(response.headers.get('x-should-retry')).toBe(isExpired ? 'true' : 'false')
    expect(response.headers.get('www-authenticate')?.startsWith('Bearer')).toBe(
      expected.status === 401 ? true : undefined,
    )

    const [record, ...others] = await recordsOf(gateway.dataDir, { id })
    expect(others).toEqual([])
    if (record === undefined) throw new Error('the refusal is not on record')
    expect(record.type).toBe(expected.record)
    expect(membersOf(record['dec'])).toMatchObject({ out: 'refuse', http: expected.status, reason: expected.reason })
    expect(receipt).toMatchObject({ id, iss: record.log, seq: record.seq, t: record.t })
    expect(receipt['lh']).toBe(Buffer.from(leafHash(Buffer.from(canonicalJson(record)))).toString('base64url'))
    expect({ seen: provider.seen.length, counters: await counters() }).toEqual(before)
    expect(before).toMatchObject({ seen: 0, counters: [{ used: 0, held: 0 }, { used: '0.000000000' }, {}, {}, {}] })
  })
})

describe('an expired token', () => {
  const expired = () => bearer(token(rsa, { iat: seconds() - 700, exp: seconds() - 100 }))

  it.each(FAMILIES)('may be tried again once, because an SDK of %s then fetches a new one', async (family) => {
    const advice = async (headers: Headers) => (await call(family, headers)).headers.get('x-should-retry')
    expect(await advice({ ...expired(), 'x-stainless-retry-count': '0' })).toBe('true')
    expect(await advice({ ...expired(), 'x-stainless-retry-count': '1' })).toBe('false')
    expect(await advice({ ...expired(), 'user-agent': 'claude-cli/2.1.0 (external, cli)' })).toBe('false')
  })
})

describe('a good token', () => {
  const places = (text: string): readonly (readonly [string, Headers])[] => [
    ['in Authorization', bearer(text)],
    ['in x-api-key', { 'x-api-key': text }],
    ['in both, when they are equal', { ...bearer(text), 'x-api-key': text }],
  ]

  it.each([
    ['RS256', rsa],
    ['ES256', ec],
  ])('of an issuer with %s is accepted wherever a client puts it, in both dialects', async (_, key) => {
    for (const family of FAMILIES) {
      for (const [place, headers] of places(token(key))) {
        const response = await call(family, headers)
        expect({ place, status: response.status }).toEqual({ place, status: 200 })
        await response.arrayBuffer()
      }
    }
  })

  it('of the built-in issuer and of the other issuer are accepted beside each other', async () => {
    const statuses = [await gateway.token(), signToken(partner, claims({ iss: PARTNER }))].map(
      async (text) => (await call('openai', bearer(text))).status,
    )
    expect(await Promise.all(statuses)).toEqual([200, 200])
  })

  it('is never passed on: the provider sees its own key and nothing that names the caller', async () => {
    const text = token(ec)
    for (const family of FAMILIES) await (await call(family, { ...bearer(text), cookie: 'session=1' })).arrayBuffer()
    const [openai, anthropic] = provider.seen.slice(-2)
    expect(openai?.headers.authorization).toBe(`Bearer ${PROVIDER_KEYS.KEY_OPENAI}`)
    expect(anthropic?.headers.authorization ?? anthropic?.headers['x-api-key']).toContain(PROVIDER_KEYS.KEY_ANTHROPIC)
    for (const request of provider.seen) {
      expect(JSON.stringify(request.headers)).not.toContain(text)
      expect(request.headers.cookie).toBeUndefined()
    }
  })
})

describe('who a call is attributed to', () => {
  it.each(FAMILIES)('is what the token says, whatever body and headers of a call to %s claim', async (family) => {
    const claimed = { user: 'eve', tenant: 'rival', team: 'rivals', agent: 'thief', roles: ['admin'] }
    const body = askOf(family, {
      metadata: family === 'openai' ? claimed : { user_id: 'eve' },
      ...(family === 'openai' && { user: 'eve', safety_identifier: 'eve' }),
    })
    const headers = Object.fromEntries(
      Object.entries(claimed).flatMap(([name, value]) => [
        [`x-tollgate-${name}`, String(value)],
        [`x-${name}`, String(value)],
        [`x-${name}-id`, String(value)],
      ]),
    )
    const response = await call(family, { ...bearer(token(rsa)), ...headers, 'openai-organization': 'rival' }, body)
    expect(response.status).toBe(200)
    const id = response.headers.get('x-request-id') ?? ''
    await response.arrayBuffer()

    const pseudonyms = createPseudonyms({ keyFile: join(gateway.dataDir, 'keys', 'pseudonyms.key') })
    const records = await settledRecords([gateway.dataDir], { id })
    expect(records.map((record) => record.type)).toEqual(['decision', 'settle'])
    for (const record of records) {
      expect(record['act']).toEqual({
        tenant: 'acme',
        team: 'research',
        agent: 'writer',
        roles: ['analyst'],
        sub: pseudonyms.of('acme', 'corp', 'ada'),
        iss: 'corp',
        kid: 'rsa-1',
      })
    }
    const text = JSON.stringify(await recordsOf(gateway.dataDir))
    for (const word of ['rival', 'thief', '"eve"', '"ada"']) expect(text).not.toContain(word)
    expect(JSON.stringify(provider.seen.at(-1)?.headers)).not.toContain('rival')
  })
})
