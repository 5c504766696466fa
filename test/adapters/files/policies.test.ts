import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { loadPolicies } from '../../../src/adapters/files/policies.ts'
import { loadPrices } from '../../../src/adapters/files/pricing.ts'
import { canonicalJson } from '../../../src/domain/audit/canonical-json.ts'
import { BUILTIN_ISSUER_URL } from '../../../src/domain/claims.ts'
import {
  BASE,
  HEAD,
  UPSTREAMS,
  builtin,
  folderOf,
  folders,
  lines,
  load,
  policyOf,
  type Files,
  type KnownModel,
} from './policies-fixtures.ts'

const REPOSITORY = new URL('../../../', import.meta.url).pathname

describe('a set as shipped', () => {
  test.each([
    'policies',
    'policies/examples/agent-runs.yaml',
    'policies/examples/four-dimensions.yaml',
    'policies/examples/team-budgets.yaml',
  ])('%s loads without a warning, and every model it names has a price', async (path) => {
    const prices = await loadPrices([join(REPOSITORY, 'pricing')], { nowMs: Date.parse('2026-11-21T00:00:00Z') })
    if (prices.kind === 'invalid') throw new Error('prices')
    const knownModel: KnownModel = (provider, model) => prices.table.find(provider, model) !== undefined
    const loaded = await loadPolicies({ paths: [join(REPOSITORY, path)], version: 1, builtin, knownModel })
    expect(lines(loaded)).toEqual([])
    expect(loaded.kind).toBe('loaded')
  })

  test('README.md shows a set that loads', async () => {
    const readme = await readFile(join(REPOSITORY, 'policies/README.md'), 'utf8')
    const example = /^```yaml\n([\s\S]*?)^```$/m.exec(readme)?.[1] ?? ''
    const loaded = await load({ 'a.yaml': example })
    expect(lines(loaded).map((line) => line.split(' ').slice(1, 4).join(' '))).toEqual([
      'warning P051 access.rules.0.allow.models.1:',
    ])
    expect(loaded.kind).toBe('loaded')
  })
})

describe('a loaded set', () => {
  test('has what its files say, in the units of the domain', async () => {
    const set = await policyOf({
      'a.yaml': `${BASE}
access:
  rules:
    - {name: agents, match: {role: [agent, admin], group: {not: [guests]}}, allow: {models: ["sm*"], operations: [chat], maxOutputTokens: 9}}
    - {name: no, match: {classification: {atLeast: confidential}}, deny: {all: true}, message: Never.}
limits:
  - name: pace
    key: [tenant, role]
    weigh: classification
    rates:
      - {requests: 20, window: 1m, burst: 5}
      - {tokens: 40000, window: 90s, fit: true}
      - {outputTokens: 500, window: 24h, algorithm: fixed}
    concurrent: 2
    enforce: {action: reject, message: Slow down.}
budgets:
  - {name: month, match: {model: small}, key: [tenant], limit: {usd: "0.25", period: month, timezone: Europe/Berlin}, message: Spent.}
  - {name: ever, key: [tenant], fit: true, limit: {tokens: 7, period: lifetime}}
  - {name: week, key: [tenant], limit: {tokens: 8, period: week, weekStart: sun, at: 18:30}}
`,
    })
    const { limits, budgets } = set
    expect(set).toMatchObject({
      name: 'test',
      version: 3,
      revision: undefined,
      knownRoles: new Set(['agent', 'admin']),
    })
    expect(set.knownGroups).toEqual(new Set(['guests']))
    expect(
      limits.map(({ name, unit, shape, weighByClassification, fit, message }) => ({
        name,
        unit,
        shape,
        weighByClassification,
        fit,
        message,
      })),
    ).toEqual(
      [
        { unit: 'requests', shape: { kind: 'gcra', amount: 20, periodMs: 60_000, burst: 5 } },
        { unit: 'tokens', shape: { kind: 'sliding', amount: 40_000, periodMs: 90_000 }, fit: true },
        { unit: 'output_tokens', shape: { kind: 'fixed', amount: 500, periodMs: 86_400_000 } },
        { unit: 'concurrent', shape: { kind: 'concurrent', amount: 2 } },
      ].map((rate) => ({ name: 'pace', fit: false, ...rate, weighByClassification: true, message: 'Slow down.' })),
    )
    expect(budgets).toMatchObject([
      {
        name: 'month',
        unit: 'usd',
        amount: 250_000_000,
        period: 'month',
        timeZone: 'Europe/Berlin',
        message: 'Spent.',
      },
      {
        name: 'ever',
        unit: 'tokens',
        amount: 7,
        period: 'lifetime',
        timeZone: 'UTC',
        atMinutes: 0,
        weekStart: 0,
        fit: true,
      },
      { name: 'week', unit: 'tokens', amount: 8, period: 'week', timeZone: 'UTC', atMinutes: 1_110, weekStart: 6 },
    ])
    const [agents, no] = set.access
    expect(agents?.effect).toMatchObject({ kind: 'allow', operations: new Set(['chat']), outputTokensMax: 9 })
    expect(agents?.effect.models?.map((matches) => [matches('small'), matches('large')])).toEqual([[true, false]])
    expect(no).toMatchObject({
      match: [{ dimension: 'classification', test: { kind: 'level', atLeast: 2, atMost: 3 } }],
      effect: { kind: 'deny', message: 'Never.', models: undefined },
    })
    expect(set.issuers).toMatchObject([{ name: 'dev', keys: { kind: 'builtin' }, issuer: BUILTIN_ISSUER_URL }])
    expect(set.upstreams).toMatchObject([{ name: 'sim', models: new Map([['small', 'sim-small']]), keys: [] }])
  })

  test('maps claims by name, pointer and value', async () => {
    const set = await policyOf({
      'sub/a.yaml': '',
      'a.yaml': `${HEAD.replace('{issuers: [{name: dev, builtin: true}]}', '')}
  issuers:
    - name: idp
      issuer: https://idp.example
      jwks: {file: sub/keys.json}
      audiences: [gateway]
      algorithms: [ES256]
      types: [application/AT+JWT]
      maxLifetime: 15m
      map:
        tenant: {value: acme}
        user: {claim: sub, prefix: "idp:", default: nobody}
        role: {pointer: /a~1b/~01/0}
${UPSTREAMS}`,
    })
    const [issuer] = set.issuers
    expect(issuer).toEqual({
      name: 'idp',
      issuer: 'https://idp.example',
      keys: { kind: 'file', path: join(folders.at(-1) ?? '', 'sub/keys.json') },
      audiences: ['gateway'],
      algorithms: ['ES256'],
      types: ['at+jwt'],
      lifetimeMaxMs: 900_000,
      requireTokenId: false,
      runHeader: false,
      map: {
        tenant: { from: { kind: 'value', value: 'acme' }, prefix: '', default: undefined },
        user: { from: { kind: 'claim', name: 'sub' }, prefix: 'idp:', default: 'nobody' },
        role: { from: { kind: 'pointer', path: ['a/b', '~1', '0'] }, prefix: '', default: undefined },
      },
    })
  })

  test('accepts upstreams on loopback only when the set allows their range', async () => {
    const upstream = (rest: string) => `${HEAD}
upstreams: [{name: local, provider: openai, baseUrl: "http://127.0.0.1:9999/v1", models: {small: x}, keys: [{id: k, secret: "env:K"}]}]
destinations: {allow: [127.0.0.1]${rest}}
`
    const set = await policyOf({ 'a.yaml': upstream(', allowPrivate: [127.0.0.0/8]') })
    expect(set.upstreams[0]).toMatchObject({
      baseUrl: 'http://127.0.0.1:9999/v1',
      keys: [{ id: 'k', secret: 'env:K' }],
    })
    expect(lines(await load({ 'a.yaml': upstream('') }))[0]).toContain(
      'P040 upstreams.0.baseUrl: add the range of 127.0.0.1',
    )
  })

  test('may be written as JSON', async () => {
    const json = JSON.stringify({
      apiVersion: 'tollgate/v1',
      kind: 'PolicySet',
      metadata: { name: 'test' },
      identity: { issuers: [{ name: 'dev', builtin: true }] },
      upstreams: [{ name: 'sim', provider: 'simulator', models: { small: 'sim-small' } }],
    })
    expect((await policyOf({ 'a.json': json })).digest).toBe((await policyOf({ 'a.yaml': BASE })).digest)
  })

  test('is made of the files of a folder in the order of their names, not of folders in it or hidden ones', async () => {
    const more = (name: string) => `apiVersion: tollgate/v1
kind: PolicySet
upstreams: [{name: ${name}, provider: simulator, models: {m-${name}: x}}]
`
    const folder = await folderOf({
      'b.yml': more('b'),
      'a.yaml': BASE,
      'c.json': '{"apiVersion":"tollgate/v1","kind":"PolicySet"}',
      'README.md': '#',
      'deep/d.yaml': '!',
      '.hidden.yaml': '!',
      '..data/z.yaml': more('z'),
    })
    await symlink(join(folder, '..data/z.yaml'), join(folder, 'z.yaml'))
    const loaded = await loadPolicies({ paths: [folder], version: 1, builtin })
    expect(loaded.kind === 'loaded' && loaded.policy.upstreams.map(({ name }) => name)).toEqual(['sim', 'b', 'z'])
  })
})

describe('a digest', () => {
  const RULES = `
access: {rules: [{name: a, match: {role: [x, y], team: t}, allow: {}}, {name: b, allow: {models: [small]}}]}
limits: [{name: l, key: [tenant], rates: [{requests: 60, window: 60s}]}]
budgets: [{name: m, key: [tenant], limit: {usd: "1.50", period: day}}]
`
  const digest = async (files: Files) => (await policyOf(files)).digest

  test('is the same however the set is spread over files, ordered and spelled', async () => {
    const whole = await digest({ 'a.yaml': BASE + RULES })
    const split = await digest({
      'one.yaml': BASE,
      'two.yaml': `# rules\nkind: PolicySet\napiVersion: tollgate/v1\n${RULES}`,
    })
    const reordered = await digest({
      'a.yaml': `${BASE}
budgets: [{limit: {period: day, usd: "1.5", timezone: UTC}, key: [tenant], name: m, match: {}}]
limits:
  - {name: l, key: [tenant], rates: [{window: 1m, requests: 60, burst: 60, algorithm: gcra}], enforce: {action: reject}}
access:
  default: deny
  rules:
    - {allow: {models: [small]}, name: b}
    - {allow: {}, match: {team: [t], role: [y, x]}, name: a}
`,
    })
    expect(split).toBe(whole)
    expect(reordered).toBe(whole)
    expect(whole).toMatch(/^[0-9a-f]{64}$/)
  })

  test.each([
    ['an amount', 'requests: 60', 'requests: 61'],
    ['a match', 'role: [x, y]', 'role: [x]'],
    ['a key', 'key: [tenant], limit', 'key: [team], limit'],
    ['a period', 'period: day', 'period: month'],
    ['a model', 'models: [small]', 'models: [small, "*"]'],
  ])('is another when %s is', async (_what, from, to) => {
    expect(await digest({ 'a.yaml': BASE + RULES.replace(from, to) })).not.toBe(
      await digest({ 'a.yaml': BASE + RULES }),
    )
  })

  test('is another when upstreams change places, because the first one is tried first', async () => {
    const [a, b] = ['{name: a, provider: simulator, models: {m: x}}', '{name: b, provider: simulator, models: {m: x}}']
    const set = (list: string) => digest({ 'a.yaml': `${HEAD}upstreams: [${list}]` })
    expect(await set(`${a}, ${b}`)).not.toBe(await set(`${b}, ${a}`))
  })

  test('is of the canonical text that the policy carries, which holds no secret', async () => {
    const { canonical } = await policyOf({ 'a.yaml': BASE + RULES })
    expect(canonicalJson(JSON.parse(canonical))).toBe(canonical)
  })
})

describe('a rule id', () => {
  const ids = async (limit: string) =>
    (await policyOf({ 'a.yaml': `${BASE}limits: [${limit}]` })).limits.map(({ id }) => id)
  const LIMIT = '{name: l, key: [tenant], rates: [{requests: 60, window: 1m}]}'

  test('stays when only the amount changes, and is another when anything else of the count does', async () => {
    const [id] = await ids(LIMIT)
    expect(id).toMatch(/^[0-9A-Za-z]{8}$/)
    expect(await ids(LIMIT.replace('60', '90'))).toEqual([id])
    for (const [from, to] of [
      ['name: l', 'name: k'],
      ['tenant', 'team'],
      ['1m', '2m'],
      ['requests', 'tokens'],
      ['1m', '1m, algorithm: fixed'],
    ] as const) {
      expect(await ids(LIMIT.replace(from, to))).not.toEqual([id])
    }
  })
})
