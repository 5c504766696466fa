/**
 * What every ledger owes of reserving and settling, run on each implementation with a clock that the tests turn.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { ACCUMULATORS_MAX } from '../../src/domain/ledger/accumulator.ts'
import type { Accumulator } from '../../src/domain/ledger/accumulator.ts'
import type { Hold } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import {
  HOUR,
  LEASE,
  accumulator,
  asks,
  bucket,
  hold,
  hourly,
  lifetime,
  places,
  ring,
  take,
} from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

export function ledgerContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`the ledger contract on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const state = async (one: Accumulator) => (await ledger.balances([one]))[0]
    const thisHour = (limit: number, details?: Partial<Accumulator>) => hourly(under.nowMs(), limit, details)

    describe('reserving', () => {
      test('a charge that fits is held, with the state before it', async () => {
        const budget = lifetime(100)
        await ledger.settle(await hold(ledger, [take(budget, 30)]), [10])
        await hold(ledger, [take(budget, 20)])
        expect(await ledger.reserve(asks([take(budget, 70)]))).toMatchObject({
          kind: 'held',
          states: [{ limit: 100, settled: 10, held: 20 }],
        })
        expect(await state(budget)).toEqual({ limit: 100, settled: 10, held: 90 })
      })

      test('a charge one above the room is refused and changes nothing', async () => {
        const budget = lifetime(100)
        await hold(ledger, [take(budget, 60)])
        expect(await ledger.reserve(asks([take(budget, 41)]))).toEqual({
          kind: 'refused',
          shortfalls: [{ index: 0, state: { limit: 100, settled: 0, held: 60 }, retryAfterMs: null }],
        })
        expect(await state(budget)).toEqual({ limit: 100, settled: 0, held: 60 })
      })

      test('one refusing accumulator of any kind leaves all others untouched', async () => {
        const all = [lifetime(10), places(10), ring(10), bucket(10), thisHour(10)]
        for (const short of [lifetime(0), places(0), ring(0), bucket(0), thisHour(0)]) {
          const refusing = { ...short, key: 'no-room' }
          const outcome = await ledger.reserve(asks([...all.map((one) => take(one)), take(refusing)]))
          expect(outcome).toMatchObject({ kind: 'refused', shortfalls: [{ index: all.length }] })
          expect((await ledger.balances(all)).every(({ settled, held }) => settled === 0 && held === 0)).toBe(true)
        }
        expect(await ledger.holds(10)).toEqual([])
      })

      test('every accumulator without room is listed, the others are not', async () => {
        const charges = [take(lifetime(1), 2), take(places(1)), take(ring(1), 2), take(bucket(1), 2)]
        const outcome = await ledger.reserve(asks(charges))
        expect(outcome).toMatchObject({ kind: 'refused', shortfalls: [{ index: 0 }, { index: 2 }, { index: 3 }] })
      })

      test('accumulators of different shards are charged together', async () => {
        const charges = [
          take(lifetime(5, { shard: 0 }), 5),
          take(places(5, { shard: 1_023 })),
          take(ring(5, { shard: 512 }), 5),
        ]
        const held = await hold(ledger, charges)
        expect(await ledger.find(held.id)).toEqual({ ...held })
        expect(await ledger.settle(held, [4, 1, 3])).toEqual({ kind: 'settled', before: 'held', overshoot: 0 })
        expect(await ledger.balances(charges.map((charge) => charge.accumulator))).toEqual([
          { limit: 5, settled: 4, held: 0 },
          { limit: 5, settled: 0, held: 0 },
          { limit: 5, settled: 3, held: 0 },
        ])
      })

      test('a repeat of the id answers the state of the first and charges nothing', async () => {
        const budget = lifetime(10)
        const request = asks([take(budget, 3)])
        await ledger.reserve(request)
        expect(await ledger.reserve(request)).toEqual({ kind: 'duplicate', state: 'held' })
        expect(await state(budget)).toEqual({ limit: 10, settled: 0, held: 3 })
      })

      test('a decision without charges is held and settled like any other', async () => {
        const held = await hold(ledger, [])
        expect(held).toMatchObject({ charges: [], marks: [] })
        expect(await ledger.settle(held, [])).toMatchObject({ kind: 'settled', before: 'held' })
      })

      test('amounts up to 2^53 - 1 are exact', async () => {
        const budget = lifetime(Number.MAX_SAFE_INTEGER)
        const held = await hold(ledger, [take(budget, Number.MAX_SAFE_INTEGER - 1)])
        expect(await ledger.reserve(asks([take(budget, 2)]))).toMatchObject({ kind: 'refused' })
        await ledger.settle(held, [Number.MAX_SAFE_INTEGER - 2])
        expect(await state(budget)).toEqual({
          limit: Number.MAX_SAFE_INTEGER,
          settled: Number.MAX_SAFE_INTEGER - 2,
          held: 0,
        })
        const sliding = ring(Number.MAX_SAFE_INTEGER)
        await hold(ledger, [take(sliding, Number.MAX_SAFE_INTEGER)])
        expect(await state(sliding)).toMatchObject({ settled: Number.MAX_SAFE_INTEGER })
      })

      test.each([
        ['a fraction', [take(lifetime(5), 1.5)], 'charges[0].amount'],
        ['a negative amount', [take(lifetime(5), -1)], 'charges[0].amount'],
        ['more than one place', [take(places(5), 2)], 'charges[0].amount'],
        ['the same accumulator twice', [take(lifetime(5)), take(lifetime(5))], 'charges[1].accumulator.key'],
        ['an unknown shard', [take(lifetime(5, { shard: 1_024 }))], 'charges[0].accumulator.shard'],
        ['a limit beyond exact integers', [take(lifetime(2 ** 53))], 'charges[0].accumulator.limit'],
      ])('%s is a clear error that names the field', async (_, charges, field) => {
        await expect(ledger.reserve(asks(charges))).rejects.toThrow(field)
      })

      test('more accumulators than one decision may touch are a clear error', async () => {
        const charges = Array.from({ length: ACCUMULATORS_MAX + 1 }, (_, index) =>
          take(lifetime(5, { key: `k${index}` })),
        )
        await expect(ledger.reserve(asks(charges))).rejects.toThrow(`at most ${ACCUMULATORS_MAX}`)
        await expect(ledger.reserve(asks([], { id: 'two words' }))).rejects.toThrow('id')
      })
    })

    describe('settling', () => {
      test('the actual cost replaces what was held, once', async () => {
        const budget = lifetime(100)
        const held = await hold(ledger, [take(budget, 80)])
        expect(await ledger.settle(held, [30])).toEqual({ kind: 'settled', before: 'held', overshoot: 0 })
        expect(await ledger.settle(held, [30])).toEqual({ kind: 'already' })
        expect(await ledger.settle(held, [99])).toEqual({ kind: 'already' })
        expect(await state(budget)).toEqual({ limit: 100, settled: 30, held: 0 })
        expect(await ledger.reserve(asks([take(budget, 30)], { id: held.id }))).toEqual({
          kind: 'duplicate',
          state: 'settled',
        })
      })

      test('a cost above the bound is recorded in full and counted for budgets alone', async () => {
        const budget = lifetime(100)
        const sliding = ring(100)
        const held = await hold(ledger, [take(budget, 80), take(sliding, 5)])
        expect(await ledger.settle(held, [130, 9])).toEqual({ kind: 'settled', before: 'held', overshoot: 1 })
        expect(await ledger.balances([budget, sliding])).toEqual([
          { limit: 100, settled: 130, held: 0 },
          { limit: 100, settled: 9, held: 0 },
        ])
      })

      test('a void frees everything, and cannot be settled any more', async () => {
        const all = [lifetime(10), places(10), ring(10), bucket(10)]
        const held = await hold(
          ledger,
          all.map((one) => take(one)),
        )
        expect(await ledger.void(held)).toMatchObject({ before: 'held' })
        expect((await ledger.balances(all)).every(({ settled, held: open }) => settled === 0 && open === 0)).toBe(true)
        expect(await ledger.settle(held, [1, 1, 1, 1])).toEqual({ kind: 'already' })
      })

      test('a void that overtakes its reserve refuses it', async () => {
        const budget = lifetime(10)
        const request = asks([take(budget, 3)])
        expect(await ledger.void(request)).toEqual({
          kind: 'settled',
          before: 'unknown',
          overshoot: 0,
        })
        expect(await ledger.reserve(request)).toEqual({ kind: 'duplicate', state: 'settled' })
        expect(await state(budget)).toEqual({ limit: 10, settled: 0, held: 0 })
        expect(await ledger.void(request)).toEqual({ kind: 'already' })
      })

      test('a settlement of an unknown id is answered as such and charges nothing', async () => {
        const budget = lifetime(10)
        const stranger = { ...asks([take(budget, 3)]), atUs: under.nowMs() * 1_000, marks: [0] }
        expect(await ledger.settle(stranger, [3])).toEqual({ kind: 'unknown' })
        expect(await state(budget)).toEqual({ limit: 10, settled: 0, held: 0 })
      })

      test('a settlement that does not match its hold is a clear error and changes nothing', async () => {
        const budget = lifetime(10)
        const held = await hold(ledger, [take(budget, 3)])
        await expect(ledger.settle(held, [])).rejects.toThrow('actual')
        await expect(ledger.settle(held, [-1])).rejects.toThrow('actual[0]')
        await expect(ledger.settle(held, [Number.NaN])).rejects.toThrow('actual[0]')
        expect(await state(budget)).toMatchObject({ held: 3 })
      })

      test('a settled id is forgotten after two minutes', async () => {
        const held = await hold(ledger, [take(lifetime(10), 3)])
        await ledger.settle(held, [3])
        await under.advance(119_999)
        expect(await ledger.settle(held, [3])).toEqual({ kind: 'already' })
        await under.advance(1)
        expect(await ledger.settle(held, [3])).toEqual({ kind: 'unknown' })
      })
    })

    describe('calendar windows', () => {
      test('a late settlement charges the window of its reservation', async () => {
        const first = thisHour(100)
        const held = await hold(ledger, [take(first, 40)])
        await under.advance(HOUR)
        const second = thisHour(100)
        expect(second.key).not.toBe(first.key)
        await ledger.settle(held, [25])
        expect(await ledger.balances([first, second])).toEqual([
          { limit: 100, settled: 25, held: 0 },
          { limit: 100, settled: 0, held: 0 },
        ])
      })

      test('a window that does not contain the ledger clock is refused as stale, whatever else refuses', async () => {
        const window = thisHour(100)
        await under.advance(HOUR)
        const outcome = await ledger.reserve(asks([take(places(0)), take(window)]))
        expect(outcome).toEqual({ kind: 'stale', nowMs: under.nowMs() })
        const next = { startMs: under.nowMs() + 1, endMs: under.nowMs() + HOUR }
        const early = accumulator({ kind: 'budget', window: next }, 100)
        expect(await ledger.reserve(asks([take(early)]))).toMatchObject({ kind: 'stale' })
      })

      test('settling after the window is no longer kept does not bring it back', async () => {
        const window = thisHour(100)
        const held = await hold(ledger, [take(window, 40)])
        await under.advance(HOUR + 66 * 60_000)
        expect(await ledger.settle(held, [40])).toMatchObject({ kind: 'settled', before: 'held' })
        expect(await state(window)).toEqual({ limit: 100, settled: 0, held: 0 })
      })

      test('what is settled comes back at the end of the window, what is held only by settlement', async () => {
        const window = thisHour(100)
        const endMs = window.shape.kind === 'budget' ? window.shape.window?.endMs : undefined
        await ledger.settle(await hold(ledger, [take(window, 60)]), [60])
        await hold(ledger, [take(window, 30)])
        const short = (amount: number) => ledger.reserve(asks([take(window, amount)]))
        const untilEnd = (endMs ?? 0) - under.nowMs()
        expect(await short(20)).toMatchObject({ shortfalls: [{ retryAfterMs: null }] })
        expect(await short(41)).toMatchObject({ shortfalls: [{ retryAfterMs: untilEnd }] })
        expect(await short(101)).toMatchObject({ shortfalls: [{ retryAfterMs: null }] })
      })
    })

    describe('limits of a newer policy', () => {
      test.each([
        ['budget', lifetime],
        ['concurrency', places],
        ['sliding', ring],
        ['bucket', bucket],
      ])('the highest version seen wins for a %s, also for a node with an older one', async (_, make) => {
        await hold(ledger, [take(make(10, { limitVersion: 5 }))])
        expect(await state(make(99, { limitVersion: 4 }))).toMatchObject({ limit: 10 })
        expect(await state(make(99, { limitVersion: 6 }))).toMatchObject({ limit: 99 })
        await hold(ledger, [take(make(1_000, { limitVersion: 6 }))])
        expect(await state(make(1, { limitVersion: 5 }))).toMatchObject({ limit: 1_000 })
      })

      test('a lowered limit refuses what it must and forgets nothing', async () => {
        await hold(ledger, [take(lifetime(100), 80)])
        const lowered = lifetime(50, { limitVersion: 2 })
        expect(await ledger.reserve(asks([take(lowered)]))).toMatchObject({
          shortfalls: [{ state: { limit: 50, settled: 0, held: 80 } }],
        })
        // The refusal did not store the version: the older limit is still in force elsewhere.
        expect(await state(lifetime(100))).toMatchObject({ limit: 100, held: 80 })
      })
    })

    describe('concurrency', () => {
      test('a place is free again after settlement, void and expiry', async () => {
        const one = places(1)
        const room = async () => (await ledger.reserve(asks([take(one)]))).kind
        const free = [
          async (held: Hold) => void (await ledger.settle(held, [1])),
          async (held: Hold) => void (await ledger.void(held)),
          async () => {
            await under.advance(LEASE)
            await ledger.reap(10)
          },
        ]
        for (const release of free) {
          const held = await hold(ledger, [take(one)])
          expect(await room()).toBe('refused')
          await release(held)
          expect(await state(one)).toEqual({ limit: 1, settled: 0, held: 0 })
        }
      })

      test('a place that stays taken is remembered however long it is extended', async () => {
        const one = places(1)
        await ledger.settle(await hold(ledger, [take(one)]), [1])
        const held = await hold(ledger, [take(one)])
        for (let minute = 0; minute < 61; minute += 1) {
          await under.advance(60_000)
          expect(await ledger.extend([held], LEASE)).toEqual([])
        }
        expect(await ledger.reserve(asks([take(one)]))).toMatchObject({ kind: 'refused' })
      })
    })
  })
}
