import { describe, expect, test } from 'vitest'
import { BUILTIN_ISSUER_URL } from '../../../src/domain/claims.ts'
import { BASE, HEAD, UPSTREAMS, findings, lines, load, only } from './policies-fixtures.ts'

describe('a set that does not hang together is refused:', () => {
  const RULE = 'key: [tenant], limit: {usd: "1", period: day}'

  test.each([
    [
      'a limit and a budget of one name',
      `limits: [{name: x, key: [tenant], concurrent: 1}]\nbudgets: [{name: x, ${RULE}}]`,
      'a.yaml:7:18 error P030 budgets.0.name',
    ],
    [
      'two rates that count the same',
      'limits: [{name: x, key: [tenant], rates: [{requests: 1, window: 1m}, {requests: 2, window: 60s}]}]',
      'error P030 limits.0.rates.1',
    ],
    [
      'an unknown upstream',
      `budgets: [{name: x, match: {upstream: azure}, ${RULE}}]`,
      'error P031 budgets.0.match.upstream: unknown upstream azure; known: sim',
    ],
    [
      'an unknown issuer',
      `budgets: [{name: x, match: {issuer: {not: azure}}, ${RULE}}]`,
      'error P031 budgets.0.match.issuer',
    ],
    [
      'an unknown level',
      'access: {rules: [{name: r, match: {classification: {atLeast: secret}}, allow: {}}]}',
      'error P034 access.rules.0.match.classification: unknown level secret; known: public',
    ],
    [
      'an unknown default level',
      'classification: {levels: [{name: low}], default: high}',
      'error P034 classification.default',
    ],
    [
      'a role key without any role',
      'limits: [{name: x, key: [role], concurrent: 1}]',
      'error P035 limits.0.key.0: no rule names a role',
    ],
    ['a host with a port', 'destinations: {allow: ["a.example:443"]}', 'a.yaml:6:24 error P040 destinations.allow.0'],
    ['a range that is none', 'destinations: {allowPrivate: [10.0.0.0/33]}', 'error P040 destinations.allowPrivate.0'],
  ])('%s', async (_what, added, expected) => {
    expect(await only(added)).toContain(expected)
  })

  test.each([
    ['https://other.example/v1', 'add other.example to destinations.allow'],
    ['http://api.example/v1', 'http: is for loopback addresses only'],
    ['ftp://api.example/', 'expected an https: URL'],
    ['https://user:pass@api.example/', 'must not carry a user or password'],
    ['https://api.example/?x=1', 'must not carry a query'],
    ['https://169.254.169.254/', 'add the range of 169.254.169.254 to destinations.allowPrivate'],
    ['https://2130706433/', 'add the range of 127.0.0.1 to'],
    ['https://[::1]/', 'add the range of [::1] to'],
    ['https://localhost/', 'add the range of localhost to'],
    ['http://localhost:1/', 'add the range of localhost to'],
  ])('an upstream at %s', async (baseUrl, expected) => {
    const text = `${HEAD}upstreams: [{name: u, provider: openai, baseUrl: "${baseUrl}", models: {m: x}, keys: [{id: k, secret: "env:K"}]}]
destinations: {allow: [api.example, 169.254.169.254, 127.0.0.1, "::1", localhost]}
`
    const found = lines(await load({ 'a.yaml': text }))
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(`P040 upstreams.0.baseUrl: ${expected}`)
  })

  test('host names are compared as URLs write them', async () => {
    const text = `${HEAD}upstreams: [{name: u, provider: openai, baseUrl: "https://API.example./v1", models: {m: x}, keys: [{id: k, secret: "env:K"}]}]
destinations: {allow: [Api.Example]}
`
    expect((await load({ 'a.yaml': text })).kind).toBe('loaded')
  })

  test('two files with an identity, and two issuers of one iss', async () => {
    const other = 'apiVersion: tollgate/v1\nkind: PolicySet\nidentity: {issuers: [{name: x, builtin: true}]}\n'
    expect(lines(await load({ 'a.yaml': BASE, 'b.yaml': other }))[0]).toMatch(
      /^b\.yaml:3:1 error P030 identity: .*a\.yaml/,
    )
    const clash = BASE.replace(
      '{name: dev, builtin: true}',
      `{name: dev, builtin: true}, {name: x, issuer: "${BUILTIN_ISSUER_URL}", jwks: {file: k}, audiences: [a], algorithms: [ES256], map: {}}`,
    )
    expect(lines(await load({ 'a.yaml': clash }))[0]).toContain('P030 identity.issuers.1.issuer')
  })

  test('a set without an issuer, upstream or name', async () => {
    const found = lines(await load({ 'a.yaml': 'apiVersion: tollgate/v1\nkind: PolicySet\n' }))
    expect(found.map((line) => line.split(' ').slice(2, 4).join(' '))).toEqual([
      'P020 metadata:',
      'P020 identity:',
      'P020 upstreams:',
    ])
  })

  test('more than 64 counters for one call, but not 64 teams with a rule each', async () => {
    const rates = Array.from({ length: 7 }, (_, index) => `{requests: 1, window: ${String(index + 1)}m}`).join(', ')
    const limits = (count: number, match: (index: number) => string) =>
      `limits: [${Array.from({ length: count }, (_, index) => `{name: l${String(index)}, ${match(index)}key: [tenant], rates: [${rates}]}`).join(', ')}]`
    expect(await findings(limits(9, () => ''))).toEqual([])
    expect(await only(limits(10, () => ''))).toContain('P036 limits.9: one call could draw from more than 64 counters')
    expect(await findings(limits(90, (index) => `match: {team: t${String(index)}}, `))).toEqual([])
    expect(await only(limits(60, (index) => `match: {role: r${String(index)}}, `))).toContain('P036')
    expect(await only(limits(12, (index) => `match: {team: [t${String(index)}, t]}, `))).toContain('P036')
    const mixed = limits(11, (index) => (index === 0 ? 'match: {agent: t, team: l}, ' : 'match: {agent: u}, '))
    expect(await only(mixed)).toContain('P036')
    const fanOut = `limits: [{name: l, match: {role: [a, b, c, d, e, f, g, h]}, key: [role], rates: [${rates}, {tokens: 1, window: 1m}], concurrent: 1}]`
    expect(await only(fanOut)).toContain('P036')
    expect(await findings(fanOut.replace(', h]', ']'))).toEqual([])
  })
})

describe('a set that is right but odd is loaded with a warning:', () => {
  test.each([
    [
      'a model that nobody serves',
      'access: {rules: [{name: r, allow: {models: [small, "huge-*"]}}]}',
      'warning P051 access.rules.0.allow.models.1: no upstream serves huge-*',
    ],
    [
      'a rule for a model that nobody serves',
      'limits: [{name: x, match: {model: huge}, key: [tenant], concurrent: 1}]',
      'warning P050 limits.0.match.model: no request can match',
    ],
    [
      'levels that exclude each other',
      'limits: [{name: x, match: {classification: {atLeast: restricted, atMost: public}}, key: [tenant], concurrent: 1}]',
      'warning P050 limits.0.match.classification: no request can match: restricted is above public',
    ],
    [
      'a weight above the burst',
      'limits: [{name: x, key: [tenant], weigh: classification, rates: [{requests: 60, window: 1m, burst: 3}]}]',
      'warning P050 limits.0.rates.0: no call of level restricted ever fits',
    ],
  ])('%s', async (_what, added, expected) => {
    const loaded = await load({ 'a.yaml': BASE + added })
    expect(loaded.kind).toBe('loaded')
    expect(lines(loaded)).toContainEqual(expect.stringContaining(expected))
  })

  test('callers under no limit and no budget', async () => {
    const rule = 'access: {rules: [{name: r, match: {role: agent}, allow: {}}]}\n'
    const held = (match: string) =>
      findings(`${rule}limits: [{name: x, match: {${match}}, key: [tenant], concurrent: 1}]`)
    expect((await findings(rule))[0]).toContain('warning P056 access.rules.0: callers that r lets in')
    expect((await held('team: a'))[0]).toContain('P056')
    expect(await held('role: [agent, admin]')).toEqual([])
    expect(await held('')).toEqual([])
  })

  test('a model without a price under a budget of money', async () => {
    const text = `${BASE}budgets: [{name: b, key: [tenant], limit: {usd: "1", period: day}}]\n`
    const loaded = await load({ 'a.yaml': text }, (provider, model) => `${provider}/${model}` !== 'simulator/sim-small')
    expect(lines(loaded)).toEqual([
      'a.yaml:5:62 warning P057 upstreams.0.models.small: simulator model sim-small has no price: calls to it are refused. Add it to pricing/',
    ])
    expect(lines(await load({ 'a.yaml': text }, () => true))).toEqual([])
  })

  test('long-lived tokens that cannot be revoked, and dimensions that no issuer maps', async () => {
    const issuer = (rest: string) =>
      `${HEAD.replace('{name: dev, builtin: true}', `{name: x, issuer: "https://i.example", jwks: {file: k}, audiences: [a], algorithms: [ES256], map: {tenant: {claim: t}}${rest}}`)}${UPSTREAMS}`
    expect(lines(await load({ 'a.yaml': issuer(', maxLifetime: 2h') }))[0]).toContain(
      'warning P059 identity.issuers.0.maxLifetime',
    )
    expect(lines(await load({ 'a.yaml': issuer(', maxLifetime: 2h, requireJti: true') }))).toEqual([])
    const limits = 'limits: [{name: l, match: {team: a, lane: {not: b}}, key: [tenant], concurrent: 1}]'
    expect(lines(await load({ 'a.yaml': issuer('') + limits }))).toEqual([
      expect.stringContaining('warning P050 limits.0.match.team: no request can match: no issuer maps team'),
    ])
    const keyed = 'limits: [{name: l, key: [tenant, team], concurrent: 1}]'
    expect(lines(await load({ 'a.yaml': issuer('') + keyed }))).toEqual([
      expect.stringContaining('error P035 limits.0.key.1: no issuer maps team'),
    ])
  })
})
