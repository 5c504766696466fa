import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { AccumulatorState } from '../../../src/domain/ledger/accumulator.ts'
import { parseRecord, recordLine, recordParts } from '../../../src/domain/audit/audit-record.ts'
import type { WrittenDraft } from '../../../src/domain/audit/audit-record.ts'
import type { Call } from '../../../src/domain/call.ts'
import { planCharges } from '../../../src/domain/ledger/charges.ts'
import type { PlannedCharge } from '../../../src/domain/ledger/charges.ts'
import type { Admitted, Facts } from '../../../src/domain/decision.ts'
import { formatUsd, toNanoUsd } from '../../../src/domain/prices/money.ts'
import { actorText, decidedBuckets, settledBuckets } from '../../../src/domain/audit/record-texts.ts'
import {
  authenticationFailedRecord,
  crashRecord,
  decisionRecord,
  settlementRecord,
} from '../../../src/domain/audit/records.ts'
import { refuse } from '../../../src/domain/refusal.ts'
import type { Settlement } from '../../../src/domain/settlement.ts'
import { ask, budget, estimate, identity, limit, NOW, policy, run, target, upstream } from '../policy-fixtures.ts'
import { askOf, model } from '../price-fixtures.ts'

const PLACE = { log: 'tollgate/audit/log-a', seq: 7, timeMs: NOW }

const call: Call = {
  id: '01a1fd0f-1d0d-7e91-9991-b2b598002061',
  startedAtMs: NOW,
  credential: { kind: 'missing' },
  endpoint: '/v1/chat/completions',
  wireHeaders: {},
  ip: '127.0.0.1',
  readBody: () => Promise.resolve(new Uint8Array()),
}

const set = policy({
  limits: [limit({ name: 'calls' }), limit({ name: 'tokens', unit: 'tokens' })],
  budgets: [budget({ name: 'month' })],
  runs: [run(), run({ unit: 'ms', amount: 60_000 })],
})

const caller = identity({ tenant: 'acme', team: 'r"d', agent: 'b\u20act', run: 'r' })

function charged(): readonly PlannedCharge[] {
  const planned = planCharges(set, caller, ask, target, estimate(), NOW)
  if (planned.kind === 'refused') throw new Error(planned.message)
  return planned.charges
}

const facts: Required<Facts> = {
  call,
  policy: set,
  prices: { version: 'p'.repeat(64), canonical: '', find: () => undefined },
  identity: caller,
  ask: askOf('text'),
  target: { model: 'sim-small', upstream: upstream() },
  price: model(),
  estimate: estimate(),
  charges: charged(),
  states: charged().map((_, index) => ({ limit: 1_000_000, settled: index, held: 2 * index })),
  readAtMs: NOW,
}

const hold = {
  id: `${call.id}.1`,
  charges: facts.charges,
  atUs: NOW * 1_000,
  marks: [0, 0, 0, 0, NOW - 1_000],
  owner: 'test/audit/log',
}
const admitted: Admitted = { kind: 'admitted', facts, hold }

const settlement: Settlement = {
  admitted,
  ending: {
    word: 'ok',
    consumed: 'maybe',
    usage: undefined,
    outputTexts: () => [],
    outputBytesBeyond: 0,
    status: 200,
    upstreamRequestId: 'req-1',
    totalMs: 12.4,
    firstByteMs: 3.2,
  },
  basis: 'provider_usage',
  usage: { quantities: { input: 1, cache_read: 2, output: 3 }, inputTokens: 3, outputTokens: 3, consistent: true },
  cost: toNanoUsd(5n),
  lines: [{ meter: 'input', quantity: 1, nanoUsd: toNanoUsd(5n) }],
  amounts: facts.charges.map((_, index) => index),
  flags: ['usage_inconsistent'],
}

/** RFC 8785 by what it says: keys in order, no space; a value that JSON gives back is written the same way. */
function defined(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(defined).join(',')}]`
  if (typeof value !== 'object' || value === null) return JSON.stringify(value)
  const members = Object.entries(value).toSorted(([a], [b]) => (a < b ? -1 : 1))
  return `{${members.map(([key, member]) => `${JSON.stringify(key)}:${defined(member)}`).join(',')}}`
}

const line = (draft: WrittenDraft) => recordLine(recordParts(draft), PLACE)

function read(draft: WrittenDraft) {
  const record = parseRecord(Buffer.from(line(draft)))
  if (record === undefined) throw new Error('not a record')
  return record
}

const refusal = { ...refuse('rate_limited', 'No.', { reason: 'r', field: 'f' }), retryAfterMs: 5 }
const stranger = { call, policy: facts.policy, prices: facts.prices }

const DRAFTS: readonly (readonly [string, WrittenDraft])[] = [
  ['an admitted call', decisionRecord(admitted, 'pseudonym', 3.6)],
  ['a refused call', decisionRecord({ kind: 'refused', facts, refusal }, 'pseudonym', 0)],
  [
    'a call refused before anything was read',
    decisionRecord({ kind: 'refused', facts: stranger, refusal }, undefined, 0),
  ],
  ['a failed authentication', authenticationFailedRecord(call, refusal, 'dev')],
  ['a settlement', settlementRecord(settlement, 'id-2', 'pseudonym')],
  ['a settlement after a crash', crashRecord(read(decisionRecord(admitted, 'pseudonym', 0)), 'id-3')],
  ['the beginning of a log', { v: 1, type: 'genesis', id: 'id-4', vkey: 'v' }],
  ['a log taken up', { v: 1, type: 'open', id: 'id-5', durability: 'disk' }],
  ['a recovery', { v: 1, type: 'recover', id: 'id-6', torn_bytes: 0, prev_size: 3, clean: false }],
  ['the end of a log', { v: 1, type: 'close', id: 'id-7' }],
  ['a policy', { v: 1, type: 'policy', id: 'id-8', name: 'n', rev: undefined, h: 'h', bytes: 3 }],
  ['a price table', { v: 1, type: 'price', id: 'id-9', h: 'h', bytes: 3 }],
]

describe('the line of', () => {
  it.each(DRAFTS)('%s is the canonical text of its record', (_, draft) => {
    const text = line(draft)
    expect(text).toBe(defined(JSON.parse(text)))
    expect(read(draft)).toMatchObject({ id: draft.id, type: draft.type, v: 1, log: PLACE.log, seq: PLACE.seq })
  })
})

/** A bucket as its members are meant, without any text that was written before. */
function plain({ accumulator, amount, rule, unit }: PlannedCharge, beganMs?: number) {
  const { key, shape } = accumulator
  const write = (value: number) =>
    unit === 'usd' ? formatUsd(toNanoUsd(BigInt(Math.trunc(value)))) : Math.trunc(value)
  const end = shape.kind === 'budget' && shape.window !== null ? { end: shape.window.endMs } : {}
  const kept = 'keptMs' in shape ? { kept: shape.keptMs } : {}
  // Without a hold there is nothing that began.
  const span = shape.kind === 'span' && beganMs !== undefined ? { end: beganMs + accumulator.limit, from: beganMs } : {}
  return { write, same: { ...end, ...kept, ...span, id: key, kind: shape.kind, rule, unit }, amount: write(amount) }
}

const amounts = fc.oneof(fc.nat(), fc.maxSafeInteger(), fc.double({ min: 0, max: 1e15, noNaN: true }))
const state: fc.Arbitrary<AccumulatorState> = fc.record({ limit: amounts, settled: amounts, held: amounts })
const text = fc.string({ unit: 'binary' }).map((value) => value.toWellFormed())

const charge = fc
  .record({ of: fc.constantFrom(...charged()), key: text, rule: text, amount: fc.maxSafeInteger() })
  .map(({ of, key, rule, amount }) => ({ ...of, rule, amount, accumulator: { ...of.accumulator, key } }))

describe('what is written once for many records', () => {
  it('says of each bucket of a decision what its charge and its state are', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(charge, fc.option(state, { nil: undefined }))), (all) => {
        const written = decidedBuckets(
          all.map(([one]) => one),
          // States may be fewer than charges.
          all.flatMap(([, read]) => (read === undefined ? [] : [read])),
        )
        const states = all.flatMap(([, read]) => (read === undefined ? [] : [read]))
        const expected = all.map(([one], index) => {
          const { write, same, amount } = plain(one)
          const found = states[index]
          if (found === undefined) return { ...same, need: amount }
          const { limit: most, settled, held } = found
          const ok = settled + held + one.amount <= most
          return { ...same, need: amount, lim: write(most), used: write(settled), held: write(held), ok }
        })
        expect(written.text).toBe(defined(expected))
      }),
    )
  })

  it('says of each bucket of a settlement what was held and what it became', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(charge, fc.nat())), (all) => {
        const actual = all.map(([, amount]) => amount)
        const charges = all.map(([one]) => one)
        const marks = all.map((_, index) => NOW - index)
        const written = settledBuckets(charges, actual, { ...hold, charges, marks })
        const expected = all.map(([one], index) => {
          const { write, same, amount } = plain(one, marks[index])
          return { ...same, held: amount, act: write(actual[index] ?? 0) }
        })
        expect(written.text).toBe(defined(expected))
      }),
    )
  })

  it('is not taken from another rule, unit or person that shares the object', () => {
    const [one] = charged()
    if (one === undefined) throw new Error('no charge')
    expect(settledBuckets([one], [1]).text).toContain('"rule":"calls"')
    expect(settledBuckets([{ ...one, rule: 'other' }], [1]).text).toContain('"rule":"other"')
    expect(settledBuckets([{ ...one, unit: 'tokens' }], [1]).text).toContain('"unit":"tokens"')
    expect(actorText(caller, 'a', () => ({ sub: 'a' })).text).toBe('{"sub":"a"}')
    expect(actorText(caller, 'b', () => ({ sub: 'b' })).text).toBe('{"sub":"b"}')
  })
})
