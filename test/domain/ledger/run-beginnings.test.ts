import { describe, expect, test } from 'vitest'
import { foldSettlement } from '../../../src/domain/ledger/balances.ts'
import type { SettledBalance } from '../../../src/domain/ledger/balances.ts'
import { foldBeginnings } from '../../../src/domain/ledger/run-beginnings.ts'
import type { SpanBeginning } from '../../../src/domain/ledger/run-beginnings.ts'

const DAY = 86_400_000
const WEEK = 7 * DAY
const START = Date.parse('2026-11-20T10:00:00Z')

describe('the runs that a log says', () => {
  const begun = (key: string, from: number, length = DAY) =>
    ({
      v: 1,
      type: 'settle',
      id: 's',
      bkt: [{ id: key, kind: 'span', unit: 'ms', from, end: from + length, kept: WEEK, act: 1 }],
    }) as const

  test('began when their earliest record says, and are forgotten a week after their end', () => {
    const spans = new Map<string, SpanBeginning>()
    for (const from of [START + 5, START, START + 9]) foldBeginnings(begun('R:a', from), spans, START + DAY)
    foldBeginnings(begun('R:old', START - 9 * DAY), spans, START + DAY)
    expect([...spans.values()]).toEqual([{ key: 'R:a', beganMs: START, keptUntilMs: START + DAY + WEEK }])
  })

  test('begin nothing where a record is not what it should be', () => {
    const spans = new Map<string, SpanBeginning>()
    const wrong = {
      ...begun('R:a', START),
      bkt: [{ id: 'R:a', kind: 'span', from: 'x', end: 1, kept: 1 }, 7, { kind: 'span' }],
    }
    foldBeginnings(wrong, spans, START)
    expect(spans.size).toBe(0)
  })

  const used = (act: number, atMs: number) =>
    ({
      v: 1,
      type: 'settle',
      id: 's',
      t: new Date(atMs).toISOString(),
      bkt: [{ id: 'R:a', rule: 'agent-run', unit: 'tokens', kind: 'budget', act, kept: WEEK }],
    }) as const

  const fold = (records: readonly ReturnType<typeof used>[]) => {
    const balances = new Map<string, SettledBalance>()
    for (const record of records) foldSettlement(record, balances, START)
    return balances.get('R:a')
  }

  test('have used what their records sum to, until a week after the last of them', () => {
    const found = fold([used(3, START), used(4, START + WEEK - 1)])
    expect(found).toMatchObject({ settled: 7, windowEndMs: null, keptUntilMs: START + 2 * WEEK - 1 })
  })

  test('are others when their name comes back later', () => {
    expect(fold([used(3, START), used(4, START + WEEK)])).toMatchObject({ settled: 4 })
  })
})
