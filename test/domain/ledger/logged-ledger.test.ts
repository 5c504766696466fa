import { describe, expect, it } from 'vitest'
import type { AuditRecord, RecordDraft } from '../../../src/domain/audit/audit-record.ts'
import { LoggedLedger } from '../../../src/domain/ledger/logged-ledger.ts'

const NOW = Date.parse('2026-11-21T12:00:00Z')
const END = Date.parse('2026-12-01T00:00:00Z')

const purse = { id: 'Bpurse00:acme:2026-11', rule: 'purse', kind: 'budget', unit: 'usd', end: END }
const place = { id: 'Lplace00:acme', rule: 'place', kind: 'concurrency', unit: 'concurrent' }

function ledger(records: readonly Omit<RecordDraft, 'v'>[], nowMs = NOW): LoggedLedger {
  const logged = new LoggedLedger(nowMs)
  for (const [seq, record] of records.entries()) {
    const at = { v: 1, log: 'node/audit/a', seq, t: new Date(NOW - 60_000).toISOString() } as const
    // Proof: a draft with its place in a log is a record.
    logged.add({ ...record, ...at } as AuditRecord)
  }
  return logged
}

function decision(id: string, out: 'admit' | 'refuse', lim: string, need: string): Omit<RecordDraft, 'v'> {
  const bkt = [
    { ...purse, lim, need },
    { ...place, lim: 4, need: 1 },
  ]
  return { type: 'decision', id, dec: { out }, rsv: out === 'admit' ? `${id}.1` : undefined, bkt }
}

const settle = (id: string, act: string): Omit<RecordDraft, 'v'> => ({
  type: 'settle',
  id: `${id}s`,
  ref: { id },
  bkt: [{ ...purse, act }],
})

describe('the ledger that a log tells of', () => {
  it('holds what was admitted and not settled, and has settled the rest, under the newest limit', () => {
    const logged = ledger([
      decision('a', 'admit', '5.000000000', '0.300000000'),
      decision('b', 'admit', '5.000000000', '0.200000000'),
      settle('a', '0.100000000'),
      decision('c', 'refuse', '7.000000000', '9.000000000'),
    ])
    expect(logged.holds()).toMatchObject([
      {
        id: 'b.1',
        owner: 'node/audit/a',
        sinceMs: NOW - 60_000,
        charges: [{ rule: 'purse', amount: 200_000_000 }, {}],
      },
    ])
    expect(logged.budgets()).toEqual([
      {
        key: purse.id,
        rule: 'purse',
        unit: 'usd',
        settled: 100_000_000,
        held: 200_000_000,
        limit: 7_000_000_000,
        windowEndMs: END,
      },
    ])
  })

  it('leaves out a run that is forgotten', () => {
    const used = { id: 'Rrun0000:acme|bot|a', rule: 'agent-run', kind: 'budget', unit: 'tokens', act: 5, kept: 60_000 }
    const records = [{ type: 'settle', id: 's', ref: { id: 'a' }, bkt: [used] }] as const
    expect(ledger(records, NOW - 1).budgets()).toMatchObject([{ rule: 'agent-run', settled: 5, windowEndMs: null }])
    expect(ledger(records, NOW).budgets()).toEqual([])
  })

  it('shows a budget that is only held', () => {
    expect(ledger([decision('a', 'admit', '5.000000000', '0.300000000')]).budgets()).toMatchObject([
      { settled: 0, held: 300_000_000 },
    ])
  })

  it('leaves out windows that are over', () => {
    const records = [decision('a', 'admit', '5.000000000', '0.300000000'), settle('a', '0.1')]
    expect(ledger(records, END).budgets()).toEqual([])
  })
})
