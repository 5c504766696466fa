/** Every route of the gateway, asked as clients, load balancers and operators ask. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { nano, settledIn, settledRecords } from '../support/books.ts'
import { post } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { FAMILIES } from '../support/provider.ts'
import { readReceipt, readRefusal } from '../support/refusals.ts'
import { standingsOf } from '../support/standings.ts'

const RULES = `
    - name: reporters
      match: {role: reporter}
      allow: {models: [sim-small]}
    - name: no-claude-on-restricted
      match: {classification: {atLeast: restricted}}
      deny: {models: [sim-claude]}
limits:
  - name: pace
    key: [tenant, agent]
    rates: [{requests: 1000, window: 1h, algorithm: fixed}, {tokens: 1000000, window: 1h}]
    concurrent: 20
budgets:
  - {name: purse, key: [tenant, team], limit: {usd: "5.00", period: month, timezone: Europe/Berlin}}
  - {name: allowance, key: [tenant, user], limit: {tokens: 10000000, period: lifetime}}
`

let gateway: RunningGateway
let token: string

beforeAll(async () => {
  gateway = await startGateway({ policies: policySet(RULES) })
  token = await gateway.token()
})
afterAll(async () => {
  await gateway[Symbol.asyncDispose]()
})

const bearer = (text: string) => ({ authorization: `Bearer ${text}` })
const ANTHROPIC = { 'anthropic-version': '2023-06-01' }

const PREFIXES = ['/v1', '', '/v1/v1']

const chat = { model: 'sim-small', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] }

const POSTS = [
  ['/chat/completions', 'sim-small'],
  ['/messages', 'sim-claude'],
] as const

const GETS = ['/models', '/models/sim-small', '/limits'] as const

describe('every route', () => {
  const posts = PREFIXES.flatMap((prefix) => POSTS.map(([path, model]) => ({ path: `${prefix}${path}`, model })))
  const gets = PREFIXES.flatMap((prefix) => GETS.map((path) => `${prefix}${path}`))

  it.each(posts)('POST $path answers, wherever a client’s base URL ends', async ({ path, model }) => {
    const response = await post({ url: gateway.url, token, path, body: { ...chat, model } })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('request-id'))
    expect(response.headers.get('x-tollgate-cost-usd')).toMatch(/^0\.\d{9}$/)
    await response.arrayBuffer()
  })

  it.each(gets)('GET %s answers, wherever a client’s base URL ends', async (path) => {
    const response = await fetch(`${gateway.url}${path}`, { headers: bearer(token) })
    expect(response.status).toBe(200)
    expect(response.headers.get('x-request-id')).toBe(response.headers.get('request-id'))
    expect(await response.json()).toBeTypeOf('object')
  })

  it.each([...GETS, '/chat/completions', '/messages'])('%s is for no stranger', async (path) => {
    const method = path.startsWith('/models') || path === '/limits' ? 'GET' : 'POST'
    const response = await fetch(`${gateway.url}/v1${path}`, { method })
    const receipt = await readReceipt(gateway.url, response)
    expect(response.status).toBe(401)
    expect(receipt).toMatchObject({ out: 'refuse', code: 'unauthenticated' })
  })

  it.each([
    ...posts.map(({ path }) => ({ path, method: 'GET', allow: 'POST' })),
    ...posts.map(({ path }) => ({ path, method: 'OPTIONS', allow: 'POST' })),
    ...gets.map((path) => ({ path, method: 'POST', allow: 'GET, HEAD' })),
    ...['/livez', '/readyz', '/metrics', '/.well-known/jwks.json', '/.well-known/audit-jwks.json'].map((path) => ({
      path,
      method: 'DELETE',
      allow: 'GET, HEAD',
    })),
  ])('$method $path is answered with 405 and what is allowed', async ({ path, method, allow }) => {
    const response = await fetch(`${gateway.url}${path}`, { method, headers: bearer(token) })
    expect(response.status).toBe(405)
    expect(response.headers.get('allow')).toBe(allow)
    const family = path.endsWith('/messages') ? 'anthropic' : 'openai'
    const code = family === 'anthropic' ? 'invalid_request_error' : 'method_not_allowed'
    expect(await readRefusal(response, family)).toMatchObject({ code })
  })
})

describe('any other route', () => {
  const paths = [
    '/',
    '/v1',
    '/v1/responses',
    '/v1/files',
    '/v2/models',
    '/admin',
    '/v1/messages/batches',
    '/v1/models/a/b',
  ]

  it.each(paths.flatMap((path) => FAMILIES.map((family) => ({ path, family }))))(
    '$path is refused in the shape of $family',
    async ({ path, family }) => {
      const isAnthropic = family === 'anthropic' || path.includes('/messages')
      const headers = { ...bearer(token), ...(family === 'anthropic' ? ANTHROPIC : {}) }
      const response = await fetch(`${gateway.url}${path}`, { method: 'POST', headers, body: JSON.stringify(chat) })
      expect(await readRefusal(response, isAnthropic ? 'anthropic' : 'openai')).toMatchObject({
        status: 404,
        code: isAnthropic ? 'not_found_error' : 'unknown_url',
      })
      expect(response.headers.get('x-should-retry')).toBe('false')
    },
  )

  it('with a broken percent-encoding is the caller’s mistake, and its text is not logged', async () => {
    const response = await fetch(`${gateway.url}/v1/models/%E0%A4%A-canary`, { headers: bearer(token) })
    expect(await readRefusal(response, 'openai')).toMatchObject({ status: 400, code: 'invalid_request_error' })
    expect(gateway.log()).not.toContain('canary')
  })
})

describe('probes', () => {
  it.each(['GET', 'HEAD'])('%s /livez and /readyz say that all is well', async (method) => {
    for (const [path, text] of [
      ['/livez', 'ok'],
      ['/readyz', 'ok'],
      ['/readyz?verbose', '[+]audit ok\n[+]ledger ok\n[+]not-draining ok\n'],
    ] as const) {
      const response = await fetch(`${gateway.url}${path}`, { method })
      expect(response.status).toBe(200)
      expect(await response.text()).toBe(method === 'GET' ? text : '')
    }
  })

  it('the keys of the built-in issuer are public, and only their public half', async () => {
    const { keys } = (await (await fetch(`${gateway.url}/.well-known/jwks.json`)).json()) as { keys: object[] }
    expect(keys).toEqual([expect.objectContaining({ kty: 'OKP', crv: 'Ed25519', use: 'sig', kid: expect.any(String) })])
    expect(keys[0]).not.toHaveProperty('d')
  })
})

describe('/metrics', () => {
  const DOCUMENTED = [
    'requests_total',
    'decision_duration_seconds',
    'upstream_duration_seconds',
    'first_byte_seconds',
    'local_decisions_total',
    'ledger_nodes',
    'tokens_total',
    'cost_usd_total',
    'settlements_total',
    'limit_rejections_total',
    'authentication_failures_total',
    'bound_exceeded_total',
    'store_errors_total',
    'upstream_errors_total',
    'holds_total',
    'inflight_calls',
    'rules_info',
  ]

  it('has every documented series, and none that names a caller', async () => {
    await (await post({ url: gateway.url, token, body: chat })).arrayBuffer()
    await (await post({ url: gateway.url, token, body: { ...chat, model: 'a-model-that-nobody-has' } })).arrayBuffer()
    await (await fetch(`${gateway.url}/v1/limits`, { headers: bearer('nonsense') })).arrayBuffer()
    const response = await fetch(`${gateway.url}/metrics`)
    expect(response.headers.get('content-type')).toContain('text/plain')
    const text = await response.text()
    for (const name of DOCUMENTED) expect(text).toContain(`# TYPE tollgate_${name} `)
    expect(text).toMatch(
      /tollgate_requests_total\{operation="chat",model="sim-small",provider="simulator",decision="admitted",reason="none"\} [1-9]/,
    )
    expect(text).toMatch(/tollgate_requests_total\{[^}]*model="other"[^}]*reason="model_not_found"\} 1/)
    expect(text).toContain('tollgate_authentication_failures_total{issuer="none",reason="malformed"} 1')
    expect(text).toContain('tollgate_bound_exceeded_total 0')
    for (const name of ['acme', 'research', 'ada', 'writer', 'a-model-that-nobody-has'])
      expect(text).not.toContain(name)
  })
})

describe('/v1/models', () => {
  async function models(caller: object, headers: Readonly<Record<string, string>> = {}) {
    const response = await fetch(`${gateway.url}/v1/models`, {
      headers: { ...bearer(await gateway.token(caller)), ...headers },
    })
    // The shapes are what the tests below are about.
    return (await response.json()) as { data: { id: string }[] }
  }
  const ids = (list: { data: { id: string }[] }) => list.data.map(({ id }) => id)
  const ALL = ['sim-claude', 'sim-expensive', 'sim-large', 'sim-small']

  it('lists exactly what the caller may use, in both shapes', async () => {
    for (const headers of [{}, ANTHROPIC]) {
      expect(ids(await models({}, headers))).toEqual(ALL)
      expect(ids(await models({ roles: ['reporter'] }, headers))).toEqual(['sim-small'])
      expect(ids(await models({ roles: ['nobody'] }, headers))).toEqual([])
      const restricted = await models({ classification: 'restricted' }, headers)
      expect(ids(restricted)).toEqual(ALL.filter((id) => id !== 'sim-claude'))
    }
  })

  it('has the shape of its vendor', async () => {
    expect(await models({ roles: ['reporter'] })).toEqual({
      object: 'list',
      data: [{ id: 'sim-small', object: 'model', created: 0, owned_by: 'tollgate' }],
    })
    expect(await models({ roles: ['reporter'] }, ANTHROPIC)).toEqual({
      data: [{ type: 'model', id: 'sim-small', display_name: 'sim-small', created_at: '1970-01-01T00:00:00Z' }],
      has_more: false,
      first_id: 'sim-small',
      last_id: 'sim-small',
    })
  })

  it.each(FAMILIES)('tells a caller of %s nothing of a model that it may not use', async (family) => {
    const headers = {
      ...bearer(await gateway.token({ roles: ['reporter'] })),
      ...(family === 'anthropic' ? ANTHROPIC : {}),
    }
    const [secret, invented] = await Promise.all(
      ['sim-large', 'invented'].map(async (id) => {
        const response = await fetch(`${gateway.url}/v1/models/${id}`, { headers })
        return { ...(await readRefusal(response, family)), decisionId: undefined }
      }),
    )
    expect(secret).toEqual(invented)
    expect(secret).toMatchObject({ status: 404, code: family === 'openai' ? 'model_not_found' : 'not_found_error' })
  })
})

describe('/v1/limits', () => {
  const nanoOr = (held: string | number) => (typeof held === 'number' ? held : Number(nano(held)))

  it('equals what was spent, to the nano-dollar, and names the caller’s own counters only', async () => {
    const caller = { tenant: 'books', team: 'ledgers', user: 'luca', agent: 'clerk' }
    const own = await gateway.token(caller)
    for (const model of ['sim-small', 'sim-large', 'sim-small']) {
      await (await post({ url: gateway.url, token: own, body: { ...chat, model } })).arrayBuffer()
    }
    const records = await settledRecords([gateway.dataDir], { tenant: 'books' })
    const tokens = records
      .filter((record) => record.type === 'settle')
      .map((record) => membersOf(record['use']))
      .reduce((sum, use) => sum + Number(use['in']) + Number(use['out']), 0)
    const standings = await standingsOf(gateway.url, own)
    const used = standings.map(({ rule, unit, used: amount, held }) => [rule, unit, amount, nanoOr(held)])
    expect(used).toEqual([
      ['pace', 'requests', 3, 0],
      ['pace', 'tokens', tokens, 0],
      ['pace', 'concurrent', 0, 0],
      ['purse', 'usd', expect.any(String), 0],
      ['allowance', 'tokens', tokens, 0],
    ])
    const purse = standings.find(({ rule }) => rule === 'purse')
    expect(nano(purse?.used)).toBe(settledIn(records))
    expect(settledIn(records)).toBeGreaterThan(0n)
    expect(JSON.stringify(standings)).not.toContain('acme')
  })
})
