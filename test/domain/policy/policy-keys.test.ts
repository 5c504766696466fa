import { describe, expect, it } from 'vitest'
import { standingCharges } from '../../../src/domain/ledger/charges.ts'
import { readKeysWith } from '../../../src/domain/policy/policy-keys.ts'
import { budget, identity, limit, NOW, policy, run } from '../policy-fixtures.ts'

const set = policy({
  limits: [
    limit({ name: 'rate', id: 'Lrate000' }),
    limit({ name: 'quota', id: 'Lquota00', shape: { kind: 'fixed', amount: 5, periodMs: 86_400_000 } }),
  ],
  budgets: [
    budget({ name: 'month', id: 'Bmonth00', atMinutes: 90 }),
    budget({ name: 'ever', id: 'Bever000', period: 'lifetime', unit: 'tokens' }),
  ],
  runs: [run({ id: 'Rcalls00' }), run({ id: 'Rtime000', unit: 'ms' })],
})

describe('the key of an accumulator', () => {
  const charges = standingCharges(set, { ...identity(), namedRun: 'a' }, NOW)
  const keys = charges.map(({ accumulator }) => accumulator.key)
  const reader = readKeysWith(set, NOW)

  it('says by which rule it counts', () => {
    expect(keys.map((key) => reader.ruleOf(key)?.name)).toEqual([
      'rate',
      'quota',
      'month',
      'ever',
      'agent-run',
      'agent-run',
    ])
  })

  it('of a budget or quota says for whom, and until when', () => {
    expect(keys.map((key) => reader.currentBudget(key))).toEqual([
      undefined,
      { name: 'quota', unit: 'requests', subject: 'acme|bot', windowEndMs: Date.parse('2026-11-21T00:00:00Z') },
      { name: 'month', unit: 'usd', subject: 'acme|research', windowEndMs: Date.parse('2026-12-01T00:30:00Z') },
      { name: 'ever', unit: 'tokens', subject: 'acme|research', windowEndMs: null },
      { name: 'agent-run', unit: 'requests', subject: 'acme|bot|a', windowEndMs: null },
      undefined,
    ])
  })

  it('says nothing when its window is over or its rule is gone', () => {
    const later = readKeysWith(set, NOW + 40 * 86_400_000)
    expect(keys.map((key) => later.currentBudget(key)?.name)).toEqual([
      undefined,
      undefined,
      undefined,
      'ever',
      'agent-run',
      undefined,
    ])
    const other = readKeysWith(policy(), NOW)
    expect(keys.flatMap((key) => [other.ruleOf(key), other.currentBudget(key)])).toEqual(Array(12).fill(undefined))
    expect(reader.ruleOf('') ?? reader.ruleOf('nothing')).toBeUndefined()
  })
})
