import { describe, expect, test } from 'vitest'
import { HEAD, UPSTREAMS, findings, lines, load, only, policyOf } from './policies-fixtures.ts'

const NAMING = HEAD.replace('builtin: true}', 'builtin: true, runHeader: true}')

describe('runs', () => {
  test('become one rule for each amount, under one name, keyed by tenant, agent and run', async () => {
    const set = await policyOf({
      'a.yaml': `${HEAD}${UPSTREAMS}
runs:
  - name: agent-run
    match: {agent: coder}
    limit: {requests: 200, tokens: 2000000, usd: "5.00", duration: 2h}
    message: Ask for more.
`,
    })
    expect(set.runs.map(({ unit, amount }) => [unit, amount])).toEqual([
      ['requests', 200],
      ['tokens', 2_000_000],
      ['usd', 5_000_000_000],
      ['ms', 7_200_000],
    ])
    for (const rule of set.runs) {
      expect(rule).toMatchObject({ name: 'agent-run', key: ['tenant', 'agent', 'run'], message: 'Ask for more.' })
    }
    expect(new Set(set.runs.map(({ id }) => id)).size).toBe(4)
  })

  test('keep their counters when an amount changes, and have others under another key', async () => {
    const ids = async (more: string) => {
      const set = await policyOf({ 'a.yaml': `${HEAD}${UPSTREAMS}\nruns: [{name: r, ${more}}]\n` })
      return set.runs.map(({ id }) => id)
    }
    expect(await ids('limit: {requests: 7}')).toEqual(await ids('limit: {requests: 8}'))
    expect(await ids('limit: {requests: 7}')).not.toEqual(await ids('key: [tenant], limit: {requests: 7}'))
  })

  test('budgets may count requests', async () => {
    const set = await policyOf({
      'a.yaml': `${HEAD}${UPSTREAMS}\nbudgets: [{name: b, key: [tenant], limit: {requests: 9, period: day}}]\n`,
    })
    expect(set.budgets).toMatchObject([{ unit: 'requests', amount: 9, period: 'day' }])
  })

  test.each([
    ['runs: [{name: r, limit: {}}]', 'error P018 runs.0.limit: limits nothing'],
    ['runs: [{name: r}]', 'error P020 runs.0.limit: required'],
    [
      'runs: [{name: r, limit: {requests: 7, calls: 7}}]',
      'P012 runs.0.limit.calls: unknown key; known here: requests, tokens, usd',
    ],
    ['runs: [{name: r, limit: {requests: 0}}]', 'P014 runs.0.limit.requests'],
    ['runs: [{name: r, limit: {usd: 5}}]', 'runs.0.limit.usd: money is a quoted decimal'],
    ['runs: [{name: r, limit: {duration: 0s}}]', 'P018 runs.0.limit.duration: a duration such as 90s, 30m or 8h'],
    ['runs: [{name: r, limit: {duration: 32d}}]', 'P018 runs.0.limit.duration'],
    ['runs: [{name: r, key: [run], limit: {requests: 1}}]', 'P011 runs.0.key.0: one of tenant'],
    ['runs: [{name: r, match: {color: red}, limit: {requests: 1}}]', 'P018 runs.0.match.color: unknown dimension'],
    ['runs: [{name: r, match: {classification: secret}, limit: {requests: 1}}]', 'P034 runs.0.match.classification'],
    [
      'runs: [{name: r, limit: {requests: 1}}]\nbudgets: [{name: r, key: [tenant], limit: {usd: "1", period: day}}]',
      'P030 runs.0.name: the name r is used twice',
    ],
    [
      'budgets: [{name: b, key: [tenant], limit: {usd: "1", requests: 1, period: day}}]',
      'P018 budgets.0.limit: exactly one of usd, tokens and requests',
    ],
  ])('%s is refused where it stands', async (added, expected) => {
    expect(await only(added)).toContain(expected)
  })

  test('that no token and no header can name are refused', async () => {
    const external = (header: string) => `${HEAD.replace('{issuers: [{name: dev, builtin: true}]}', '')}
  issuers:
    - {name: idp, issuer: "https://idp.example", jwks: {uri: "https://idp.example/keys"}, audiences: [g], algorithms: [ES256], ${header}map: {tenant: {claim: t}, agent: {claim: sub}}}
${UPSTREAMS}
runs: [{name: r, limit: {requests: 1}}]
`
    const [found] = lines(await load({ 'a.yaml': external('') }))
    expect(found).toContain('P035 runs.0.key.2: no issuer maps run, so every call would be refused')
    const named = lines(await load({ 'a.yaml': external('runHeader: true, ') }))
    expect(named.filter((line) => line.includes('P035'))).toEqual([])
  })

  test('that callers name themselves belong to a tenant and an agent', async () => {
    const problems = async (head: string, rules: string) =>
      lines(await load({ 'a.yaml': `${head}${UPSTREAMS}\n${rules}\n` })).filter((line) => line.includes('P037'))
    const loose = 'runs: [{name: r, key: [tenant], limit: {requests: 1}}]'
    expect(await problems(HEAD, loose)).toEqual([])
    expect(await problems(NAMING, loose)).toEqual([
      expect.stringMatching(
        /a\.yaml:\d+:\d+ error P037 runs\.0\.key: counts by run without agent: callers of issuer dev/,
      ),
    ])
    const limit = 'limits: [{name: l, key: [run], concurrent: 1}]'
    expect(await problems(NAMING, limit)).toEqual([
      expect.stringContaining('limits.0.key: counts by run without tenant and agent'),
    ])
    expect(await problems(NAMING, 'runs: [{name: r, key: [agent, user, tenant], limit: {requests: 1}}]')).toEqual([])
  })

  test('count as often as a path is deep when the counters of one call are summed up', async () => {
    const runs = (count: number) =>
      `runs: [${Array.from({ length: count }, (_, index) => `{name: r${index}, limit: {requests: 1, tokens: 1, usd: "1", duration: 1h}}`).join(', ')}]`
    expect(await findings(runs(2))).toEqual([])
    expect(await only(runs(3))).toContain('P036 runs.2: one call could draw from more than 64 counters')
  })
})
