import { describe, expect, test } from 'vitest'
import { loadPolicies } from '../../../src/adapters/files/policies.ts'
import { BASE, HEAD, UPSTREAMS, builtin, findings, lines, load } from './policies-fixtures.ts'

describe('a file that is not sound YAML', () => {
  test.each<[string, string, string | Uint8Array]>([
    ['has a key twice', 'a.yaml:6:1 error P001 : Map keys must be unique', `${BASE}upstreams: []\n`],
    ['is indented wrongly', 'a.yaml:8:1 error P002', `${BASE}limits:\n - name: x\n  key: [tenant]\n`],
    ['has two documents', 'a.yaml:6:1 error P003', `${BASE}---\nkind: x\n`],
    ['is not UTF-8', 'a.yaml:1:1 error P005', Uint8Array.from([0x61, 0x3a, 0x20, 0xff])],
    ['is too large', 'a.yaml:1:1 error P006', `${BASE}#${'x'.repeat(1024 * 1024)}`],
    ['has a number as key', 'a.yaml:6:1 error P007', `${BASE}1: x\n`],
    ['has __proto__ as key', 'a.yaml:6:1 error P007', `${BASE}__proto__: {x: 1}\n`],
    ['is empty', 'a.yaml:1:1 error P008', '# nothing\n'],
    ['has an unknown tag', 'a.yaml:6:9 error P002', `${BASE}limits: !include x.yaml\n`],
    ['uses an anchor that is not there', 'a.yaml:6:9 error P004', `${BASE}limits: *x\n`],
    ['uses anchors too often', 'a.yaml:7:405 error P004', `${BASE}x: &x [a]\ny: [${'*x ,'.repeat(101)}]\n`],
    ['is nested without end', 'a.yaml:1:1 error P002', `limits: ${'['.repeat(200_000)}`],
  ])('and %s is refused at its place', async (_what, expected, content) => {
    const found = lines(await load({ 'a.yaml': content }))
    expect(`\n${found.join('\n')}`).toContain(`\n${expected}`)
  })

  test('and expands its anchors exponentially is refused', async () => {
    const levels = Array.from(
      { length: 9 },
      (_, index) => `  l${String(index + 1)}: &l${String(index + 1)} [${`*l${String(index)},`.repeat(9)}]`,
    )
    const bomb = `x:\n  l0: &l0 [a]\n${levels.join('\n')}\n`
    expect(lines(await load({ 'a.yaml': bomb }))[0]).toMatch(/^a\.yaml:1:1 error P004/)
  })

  test('and is not there at all is named', async () => {
    const loaded = await loadPolicies({ paths: ['/nowhere/policies'], version: 1, builtin })
    expect(loaded).toMatchObject({ kind: 'invalid', problems: [{ file: '/nowhere/policies', code: 'P009' }] })
    expect(lines(await load({ 'notes.txt': 'x' }))[0]).toContain('P009 : holds no policy file')
  })
})

describe('a file of the wrong shape is refused at the place of the fault:', () => {
  test.each([
    ['unknown key', 'mode: shadow', 'a.yaml:6:7 error P012 mode: unknown key; known here: apiVersion, kind, metadata'],
    [
      'key of a later language',
      'budgets: [{name: b, key: [tenant], thresholds: [], limit: {usd: "1", period: day}}]',
      'a.yaml:6:36 error P012 budgets.0.thresholds: unknown key',
    ],
    [
      'unknown dimension in a key',
      'limits: [{name: l, key: [tenant, planet], concurrent: 1}]',
      'a.yaml:6:34 error P011 limits.0.key.1: one of tenant, team',
    ],
    [
      'unknown dimension in a match',
      'limits: [{name: l, match: {planet: x}, key: [tenant], concurrent: 1}]',
      'a.yaml:6:36 error P018 limits.0.match.planet: unknown dimension here; known: tenant',
    ],
    [
      'the address of the connection as a dimension',
      'limits: [{name: l, key: [ip], concurrent: 1}]',
      'error P011 limits.0.key.0: one of tenant',
    ],
    [
      'dimension twice in a key',
      'limits: [{name: l, key: [tenant, tenant], concurrent: 1}]',
      'a.yaml:6:20 error P018 limits.0.key: names a dimension twice',
    ],
    [
      'money as a number',
      'budgets: [{name: b, key: [tenant], limit: {usd: 2500, period: day}}]',
      'a.yaml:6:49 error P010 budgets.0.limit.usd: money is a quoted decimal',
    ],
    [
      'money with a currency',
      'budgets: [{name: b, key: [tenant], limit: {usd: "$5", period: day}}]',
      'a.yaml:6:49 error P018 budgets.0.limit.usd: money is a decimal',
    ],
    [
      'more money than counters hold',
      'budgets: [{name: b, key: [tenant], limit: {usd: "9007199.254740992", period: day}}]',
      'a.yaml:6:49 error P018 budgets.0.limit.usd: at most',
    ],
    [
      'more tokens than counters hold',
      'budgets: [{name: b, key: [tenant], limit: {tokens: 9007199254740993, period: day}}]',
      'error P015 budgets.0.limit.tokens: a whole number from 0 to 9007199254740991',
    ],
    [
      'money and tokens',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", tokens: 1, period: day}}]',
      'error P018 budgets.0.limit: exactly one of usd, tokens and requests',
    ],
    [
      'unknown period',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: year}}]',
      'error P011 budgets.0.limit.period: one of minute',
    ],
    [
      'unknown zone',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: day, timezone: Mars/Base}}]',
      'error P018 budgets.0.limit.timezone: not an IANA time zone',
    ],
    [
      'zone of a lifetime',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: lifetime, timezone: UTC}}]',
      'error P018 budgets.0.limit.timezone: a lifetime has no calendar',
    ],
    [
      'time of day of an hour',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: hour, at: "06:00"}}]',
      'a.yaml:6:72 error P018 budgets.0.limit.at: only a day, week or month begins at a time of day',
    ],
    [
      'time of day past midnight',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: day, at: "24:00"}}]',
      'a.yaml:6:71 error P013 budgets.0.limit.at: a time of day from "00:00" to "23:59"',
    ],
    [
      'time of day as a number',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: day, at: 6}}]',
      'a.yaml:6:71 error P010 budgets.0.limit.at: a time of day from "00:00" to "23:59"',
    ],
    [
      'first weekday of a month',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: month, weekStart: sun}}]',
      'error P018 budgets.0.limit.weekStart: only a week begins on a weekday',
    ],
    [
      'unknown weekday',
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", period: week, weekStart: sunday}}]',
      'error P011 budgets.0.limit.weekStart: one of mon, tue, wed, thu, fri, sat, sun',
    ],
    [
      'number with underscores',
      'limits: [{name: l, key: [tenant], concurrent: 40_000}]',
      'a.yaml:6:47 error P010 limits.0.concurrent: a whole number',
    ],
    [
      'zero',
      'limits: [{name: l, key: [tenant], concurrent: 0}]',
      'error P014 limits.0.concurrent: a whole number from 1',
    ],
    [
      'two units',
      'limits: [{name: l, key: [tenant], rates: [{requests: 1, tokens: 1, window: 1m}]}]',
      'a.yaml:6:43 error P018 limits.0.rates.0: exactly one of requests',
    ],
    [
      'window without unit',
      'limits: [{name: l, key: [tenant], rates: [{requests: 1, window: 60}]}]',
      'a.yaml:6:65 error P010 limits.0.rates.0.window: a duration',
    ],
    [
      'window of milliseconds',
      'limits: [{name: l, key: [tenant], rates: [{requests: 1, window: 1500ms}]}]',
      'error P018 limits.0.rates.0.window: a window has whole seconds',
    ],
    [
      'burst of a sliding window',
      'limits: [{name: l, key: [tenant], rates: [{tokens: 1, window: 1m, burst: 2}]}]',
      'error P018 limits.0.rates.0.burst: only a gcra rate',
    ],
    [
      'fit of calls',
      'limits: [{name: l, key: [tenant], rates: [{requests: 1, window: 1m, fit: true}]}]',
      'a.yaml:6:74 error P018 limits.0.rates.0.fit: only tokens and outputTokens grow with an answer',
    ],
    [
      'fit of input',
      'limits: [{name: l, key: [tenant], rates: [{inputTokens: 1, window: 1m, fit: true}]}]',
      'error P018 limits.0.rates.0.fit: only tokens and outputTokens grow',
    ],
    [
      'fit of a bucket',
      'limits: [{name: l, key: [tenant], rates: [{tokens: 1, window: 1m, algorithm: gcra, fit: true}]}]',
      'error P018 limits.0.rates.0.fit: only a fixed or sliding rate',
    ],
    ['fit of places', 'limits: [{name: l, key: [tenant], concurrent: 1, fit: true}]', 'limits.0.fit: unknown key'],
    [
      'fit that is not yes or no',
      'budgets: [{name: b, key: [tenant], fit: shrink, limit: {usd: "1", period: day}}]',
      'a.yaml:6:41 error P010 budgets.0.fit: true or false',
    ],
    ['limit of nothing', 'limits: [{name: l, key: [tenant]}]', 'error P018 limits.0: limits nothing'],
    [
      'enforcement of a later language',
      'limits: [{name: l, key: [tenant], concurrent: 1, enforce: {action: queue}}]',
      'error P011 limits.0.enforce.action: only reject',
    ],
    ['missing key', 'limits: [{name: l, concurrent: 1}]', 'error P020 limits.0.key: required'],
    [
      'allow and deny',
      'access: {rules: [{name: r, allow: {}, deny: {all: true}}]}',
      'error P018 access.rules.0: exactly one of allow and deny',
    ],
    [
      'message on a denied model',
      'access: {rules: [{name: r, deny: {models: [small]}, message: x}]}',
      'error P018 access.rules.0.message: only a rule with deny',
    ],
    ['default allow', 'access: {default: allow}', 'error P011 access.default: only deny'],
    [
      'access by model',
      'access: {rules: [{name: r, match: {model: small}, allow: {}}]}',
      'error P018 access.rules.0.match.model: unknown dimension here',
    ],
    [
      'number as a value',
      'access: {rules: [{name: r, match: {team: 42}, allow: {}}]}',
      'error P018 access.rules.0.match.team: expected a value',
    ],
    [
      'list with a number',
      'access: {rules: [{name: r, match: {team: [a, 42]}, allow: {}}]}',
      'a.yaml:6:46 error P018 access.rules.0.match.team.1: expected text',
    ],
    [
      'level test of a team',
      'access: {rules: [{name: r, match: {team: {atLeast: x}}, allow: {}}]}',
      'access.rules.0.match.team: atLeast and atMost compare levels',
    ],
    [
      'unknown test',
      'access: {rules: [{name: r, match: {team: {regex: x}}, allow: {}}]}',
      'access.rules.0.match.team.regex: unknown test',
    ],
    [
      'not within not',
      'access: {rules: [{name: r, match: {team: {not: {not: x}}}, allow: {}}]}',
      'access.rules.0.match.team.not: not inside not',
    ],
    [
      'weight of a fraction',
      'classification: {levels: [{name: a, weight: 1.5}], default: a}',
      'classification.levels.0.weight: a whole number',
    ],
  ])('%s', async (_what, added, expected) => {
    const found = await findings(added)
    expect(found).toContainEqual(expect.stringContaining(expected))
  })

  test.each([
    ['HS256', 'algorithms: [HS256]', 'algorithms.0: one of RS256'],
    ['no audience', 'audiences: []', 'audiences: name at least one audience'],
    ['jwks by file and uri', 'jwks: {file: a, uri: "https://x.example"}', 'jwks: exactly one of file and uri'],
    ['two sources', 'map: {team: {claim: a, value: b}}', 'map.team: exactly one of claim, pointer and value'],
    ['pointer with a bad escape', 'map: {team: {pointer: /a~2}}', 'map.team.pointer: a JSON Pointer'],
    ['mapped issuer', 'map: {issuer: {claim: a}}', 'map.issuer: unknown key'],
    ['mapped ip', 'map: {ip: {claim: a}}', 'map.ip: unknown key'],
    ['lifetime of a year', 'maxLifetime: 365d', 'maxLifetime: a duration such as 15m'],
  ])('issuer with %s', async (_what, change, expected) => {
    const [key] = change.split(':')
    const parts = [
      'name: idp',
      'issuer: https://i.example',
      'jwks: {file: k}',
      'audiences: [a]',
      'algorithms: [ES256]',
      'map: {}',
    ].filter((part) => !part.startsWith(`${key ?? ''}:`))
    const text = `${HEAD.replace('{name: dev, builtin: true}', `{${[...parts, change].join(', ')}}`)}${UPSTREAMS}`
    const found = lines(await load({ 'a.yaml': text }))
    expect(found).toContainEqual(expect.stringContaining(`identity.issuers.0.${expected}`))
  })

  test.each([
    ['a secret in the clear', 'secret: sk-12345', 'secret: where the secret is'],
    ['no such provider', 'provider: acme', 'provider: one of openai'],
  ])('upstream with %s, which is not repeated', async (_what, change, expected) => {
    const upstream = `{name: u, provider: openai, baseUrl: "https://api.openai.com/v1", models: {m: x}, keys: [{id: k, secret: "env:K"}]}`
    const [key = ''] = change.split(':')
    const faulty = upstream.replace(new RegExp(`${key}: ("[^"]*"|\\w+)`), change)
    const found = lines(await load({ 'a.yaml': `${HEAD}upstreams: [${faulty}]\n` }))
    expect(found).toContainEqual(expect.stringContaining(expected))
    expect(found.join('\n')).not.toContain('sk-12345')
  })

  test('all faults of all files at once', async () => {
    const found = lines(await load({ 'a.yaml': `${BASE}x: 1\n`, 'b.yaml': 'kind: Pod\n' }))
    expect(found.map((line) => line.split(' ')[0])).toEqual(['a.yaml:6:4', 'b.yaml:1:1', 'b.yaml:1:7'])
  })
})
