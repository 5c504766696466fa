/** What becomes of calls while the ledger is away is said by a rule, else by its set, else it is `closed`. */
import { expect, it } from 'vitest'
import { BASE, lines, load, only, policyOf } from './policies-fixtures.ts'

const RULES = `
limits:
  - {name: pace, key: [tenant], rates: [{requests: 5, window: 1m}], concurrent: 2}
  - {name: strict, key: [tenant], concurrent: 2, on_ledger_error: closed}
  - {name: lenient, key: [tenant], concurrent: 2, on_ledger_error: local}
budgets:
  - {name: month, key: [tenant], limit: {usd: "1.00", period: month}}
  - {name: day, key: [tenant], limit: {usd: "1.00", period: day}, on_ledger_error: local}
`

async function modes(head: string): Promise<object> {
  const { limits, budgets } = await policyOf({ 'a.yaml': BASE + head + RULES })
  return Object.fromEntries([...limits, ...budgets].map((rule) => [`${rule.name} ${rule.unit}`, rule.onLedgerError]))
}

it('is closed where neither the rule nor the set says anything', async () => {
  expect(await modes('')).toEqual({
    'pace requests': 'closed',
    'pace concurrent': 'closed',
    'strict concurrent': 'closed',
    'lenient concurrent': 'local',
    'month usd': 'closed',
    'day usd': 'local',
  })
})

it('is what the set says for rules that say nothing', async () => {
  expect(await modes('on_ledger_error: local')).toEqual({
    'pace requests': 'local',
    'pace concurrent': 'local',
    'strict concurrent': 'closed',
    'lenient concurrent': 'local',
    'month usd': 'local',
    'day usd': 'local',
  })
})

it('is one of two words, in one file, and part of the digest', async () => {
  expect(await only('on_ledger_error: open')).toContain('one of closed and local')
  expect(
    await only('budgets: [{name: b, key: [tenant], limit: {usd: "1.00", period: day}, on_ledger_error: open}]'),
  ).toContain('budgets.0.on_ledger_error')
  const twice = await load({
    'a.yaml': `${BASE}on_ledger_error: local`,
    'b.yaml': 'apiVersion: tollgate/v1\nkind: PolicySet\non_ledger_error: local',
  })
  expect(lines(twice)).toEqual([expect.stringContaining('b.yaml:3:18 error P030 on_ledger_error')])
  const digest = async (head: string) => (await policyOf({ 'a.yaml': BASE + head + RULES })).digest
  expect(await digest('on_ledger_error: local')).not.toBe(await digest(''))
})
