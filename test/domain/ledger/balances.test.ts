import { describe, expect, it } from 'vitest'
import { foldSettlement } from '../../../src/domain/ledger/balances.ts'
import type { SettledBalance } from '../../../src/domain/ledger/balances.ts'

const at = (text: string) => Date.parse(text)

function settlement(key: string, act: number, end: string | null) {
  const entry = { id: key, rule: 'purse', unit: 'tokens', kind: 'budget', act, end: end === null ? undefined : at(end) }
  return { v: 1, type: 'settle', id: 's', bkt: [entry] } as const
}

function fold(records: readonly ReturnType<typeof settlement>[], now: string) {
  const balances = new Map<string, SettledBalance>()
  for (const record of records) foldSettlement(record, balances, at(now))
  return [...balances.values()].map(({ key, settled, windowEndMs }) => [key, settled, windowEndMs])
}

describe('the balances that a log says', () => {
  it('keep what was spent in the month that runs, also what was spent before its zone moved', () => {
    const key = 'Bpurse:acme:2026-11'
    const records = [settlement(key, 3, '2026-12-01T00:00:00Z'), settlement(key, 4, '2026-12-01T05:00:00Z')]
    expect(fold(records, '2026-12-01T02:00:00Z')).toEqual([[key, 7, at('2026-12-01T05:00:00Z')]])
    expect(fold(records.toReversed(), '2026-12-01T02:00:00Z')).toEqual([[key, 7, at('2026-12-01T05:00:00Z')]])
    expect(fold(records, '2026-12-20T00:00:00Z')).toEqual([])
  })

  it('leave out hours that are over, and never a lifetime', () => {
    const records = [settlement('Bhour:acme:t0z8w0', 3, '2026-12-01T00:00:00Z'), settlement('Bever:acme', 4, null)]
    expect(fold(records, '2026-12-01T00:00:00Z')).toEqual([['Bever:acme', 4, null]])
  })
})
