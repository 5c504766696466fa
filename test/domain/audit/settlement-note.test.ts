import { describe, expect, it } from 'vitest'
import type { RecordDraft } from '../../../src/domain/audit/audit-record.ts'
import { crashRecord } from '../../../src/domain/audit/records.ts'
import { closingRecord } from '../../../src/domain/audit/settlement-note.ts'

const DECISION: RecordDraft = {
  v: 1,
  type: 'decision',
  id: 'call',
  rsv: 'call.1',
  act: { tenant: 'acme', agent: 'writer' },
  mdl: { served: 'sim-small' },
  dec: { out: 'admit' },
  est: { usd: '0.000063000', in: 150, out: 100 },
  bkt: [
    { id: 'a', rule: 'dollars', kind: 'budget', unit: 'usd', need: '0.000063000' },
    { id: 'b', rule: 'tokens', kind: 'budget', unit: 'tokens', need: 250, end: 1_800_000_000_000 },
    { id: 'c', rule: 'places', kind: 'concurrency', unit: 'concurrent', need: 1 },
  ],
}

const NOTE = '["client_abort",200,"provider_usage",17,10,"0.000005700",[5700,27,1]]'

describe('a decision whose settlement the ledger remembers', () => {
  const record = closingRecord(DECISION, 'settlement', NOTE)

  it('is closed by what the call was and cost, and the record says where that comes from', () => {
    expect(record).toMatchObject({
      type: 'settle',
      id: 'settlement',
      ref: { id: 'call' },
      rsv: 'call.1',
      act: DECISION['act'],
      out: 'client_abort',
      http: 200,
      basis: 'provider_usage',
      use: { in: 17, out: 10 },
      usd: { est: '0.000063000', act: '0.000005700', delta: '-0.000057300' },
      flags: ['settlement_recovered'],
    })
  })

  it('has in each bucket what the ledger has there', () => {
    expect(record['bkt']).toMatchObject([
      { id: 'a', held: '0.000063000', act: '0.000005700' },
      { id: 'b', held: 250, act: 27, end: 1_800_000_000_000 },
      { id: 'c', held: 1, act: 1 },
    ])
  })
})

describe('a decision whose settlement nobody remembers', () => {
  const atBound = crashRecord(DECISION, 'settlement')

  it('is closed at its bound', () => {
    expect(closingRecord(DECISION, 'settlement', undefined)).toEqual(atBound)
    expect(atBound).toMatchObject({ out: 'crash', usd: { act: '0.000063000' } })
  })

  it.each([
    ['no JSON', '["ok"'],
    ['no list', '{"usd":"0.000000001"}'],
    ['a cost that is no amount', '["ok",200,"provider_usage",17,10,"free",[1,2,3]]'],
    ['a negative count', '["ok",200,"provider_usage",-17,10,"0.000000001",[1,2,3]]'],
    ['an amount with a fraction', '["ok",200,"provider_usage",17,10,"0.000000001",[0.5,2,3]]'],
    ['too little', '["ok",200]'],
  ])('is closed at its bound also when the note is unreadable: %s', (_, note) => {
    expect(closingRecord(DECISION, 'settlement', note)).toEqual(atBound)
  })
})
