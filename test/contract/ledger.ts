/**
 * What every ledger owes, run on each implementation with a clock that the tests turn.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Accumulator, AccumulatorShape, Charge } from '../../src/domain/accumulator.ts'
import type { Hold, ReservationRequest } from '../../src/domain/reservation.ts'
import type { Ledger } from '../../src/ports.ts'

export interface LedgerUnderTest extends AsyncDisposable {
  readonly ledger: Ledger
  nowMs(): number
  advance(ms: number): Promise<void>
  /** Forgets everything that is stored. */
  clear(): Promise<void>
}

const LEASE = 90_000
const HOUR = 3_600_000
const DAY = 24 * HOUR

let serial = 0

/** An id that no other test uses. */
export function freshId(): string {
  serial += 1
  return `call-${serial}.1`
}

export function accumulator(shape: AccumulatorShape, limit: number, details: Partial<Accumulator> = {}): Accumulator {
  return { key: details.key ?? `rule|${shape.kind}`, shard: 7, shape, limit, limitVersion: 1, ...details }
}

export const lifetime = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'budget', window: null }, limit, details)
export const places = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'concurrency' }, limit, details)
export const ring = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'sliding', windowMs: 60_000, slots: 6 }, limit, details)
export const bucket = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'bucket', amount: 1, periodMs: 1_000 }, limit, details)

export function take(accumulator: Accumulator, amount = 1): Charge {
  return { accumulator, amount }
}

export function asks(charges: readonly Charge[], details: Partial<ReservationRequest> = {}): ReservationRequest {
  return { id: freshId(), charges, leaseMs: LEASE, ...details }
}

export async function hold(
  ledger: Ledger,
  charges: readonly Charge[],
  details?: Partial<ReservationRequest>,
): Promise<Hold> {
  const outcome = await ledger.reserve(asks(charges, details))
  if (outcome.kind !== 'held') throw new Error(`expected a hold, not ${JSON.stringify(outcome)}`)
  return outcome.hold
}

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
    const thisHour = (limit: number, details: Partial<Accumulator> = {}) => {
      const startMs = Math.floor(under.nowMs() / HOUR) * HOUR
      const shape: AccumulatorShape = { kind: 'budget', window: { startMs, endMs: startMs + HOUR } }
      return accumulator(shape, limit, { key: `hour|${startMs}`, ...details })
    }

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
        const charges = Array.from({ length: 41 }, (_, index) => take(lifetime(5, { key: `k${index}` })))
        await expect(ledger.reserve(asks(charges))).rejects.toThrow('at most 40')
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
        expect(await ledger.void({ id: held.id, charges: held.charges })).toMatchObject({ before: 'held' })
        expect((await ledger.balances(all)).every(({ settled, held: open }) => settled === 0 && open === 0)).toBe(true)
        expect(await ledger.settle(held, [1, 1, 1, 1])).toEqual({ kind: 'already' })
      })

      test('a void that overtakes its reserve refuses it', async () => {
        const budget = lifetime(10)
        const request = asks([take(budget, 3)])
        expect(await ledger.void({ id: request.id, charges: request.charges })).toEqual({
          kind: 'settled',
          before: 'unknown',
          overshoot: 0,
        })
        expect(await ledger.reserve(request)).toEqual({ kind: 'duplicate', state: 'settled' })
        expect(await state(budget)).toEqual({ limit: 10, settled: 0, held: 0 })
        expect(await ledger.void({ id: request.id, charges: request.charges })).toEqual({ kind: 'already' })
      })

      test('a settlement of an unknown id is answered as such and charges nothing', async () => {
        const budget = lifetime(10)
        const stranger = { id: freshId(), charges: [take(budget, 3)], atUs: under.nowMs() * 1_000, marks: [0] }
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

    describe('sliding windows', () => {
      test('the wait is exact: a millisecond earlier there is no room', async () => {
        await under.advance(10_000 - (under.nowMs() % 10_000))
        const window = ring(10)
        await hold(ledger, [take(window, 4)])
        await under.advance(13_000)
        await hold(ledger, [take(window, 6)])
        const request = () => ledger.reserve(asks([take(window, 5)]))
        const outcome = await request()
        expect(outcome).toMatchObject({ kind: 'refused', shortfalls: [{ retryAfterMs: 67_000 }] })
        await under.advance(66_999)
        expect(await request()).toMatchObject({ kind: 'refused', shortfalls: [{ retryAfterMs: 1 }] })
        await under.advance(1)
        expect(await request()).toMatchObject({ kind: 'held' })
      })

      test('what never fits has no wait', async () => {
        expect(await ledger.reserve(asks([take(ring(10), 11)]))).toMatchObject({ shortfalls: [{ retryAfterMs: null }] })
      })

      test('a settlement corrects the moment of the reservation', async () => {
        const window = ring(100)
        const held = await hold(ledger, [take(window, 90)])
        await under.advance(45_000)
        await ledger.settle(held, [10])
        expect(await state(window)).toMatchObject({ settled: 10 })
        await under.advance(35_000)
        expect(await state(window)).toMatchObject({ settled: 0 })
      })

      test('a settlement after the window has passed changes nothing', async () => {
        const window = ring(100)
        const held = await hold(ledger, [take(window, 90)])
        await under.advance(80_000)
        await hold(ledger, [take(window, 5)])
        await ledger.settle(held, [10])
        expect(await state(window)).toMatchObject({ settled: 5 })
      })
    })

    describe('buckets', () => {
      test('the debt drains, and the wait is exact', async () => {
        const calls = bucket(3)
        await hold(ledger, [take(calls, 3)])
        const request = () => ledger.reserve(asks([take(calls, 2)]))
        expect(await request()).toMatchObject({ kind: 'refused', shortfalls: [{ retryAfterMs: 2_000 }] })
        await under.advance(1_999)
        expect(await request()).toMatchObject({ shortfalls: [{ state: { settled: 2 }, retryAfterMs: 1 }] })
        await under.advance(1)
        expect(await request()).toMatchObject({ kind: 'held' })
        expect(await ledger.reserve(asks([take(calls, 4)]))).toMatchObject({ shortfalls: [{ retryAfterMs: null }] })
      })

      test('holds that were kept back cannot be cashed in for a burst', async () => {
        const tokens = bucket(10)
        const held: Hold[] = []
        for (let call = 0; call < 6; call += 1) {
          held.push(await hold(ledger, [take(tokens, 10)], { leaseMs: HOUR }))
          await under.advance(10_000)
        }
        for (const each of held) await ledger.settle(each, [1])
        const outcome = await ledger.reserve(asks([take(tokens, 10)]))
        expect(outcome).toMatchObject({ kind: 'held', states: [{ settled: 0 }] })
        expect(await ledger.reserve(asks([take(tokens, 1)]))).toMatchObject({ kind: 'refused' })
      })

      test('what is provably still owed comes back', async () => {
        const tokens = bucket(10)
        const held = await hold(ledger, [take(tokens, 10)])
        await under.advance(2_000)
        await ledger.settle(held, [1])
        expect(await state(tokens)).toMatchObject({ settled: 0 })
        const again = await hold(ledger, [take(tokens, 10)])
        await ledger.settle(again, [4])
        expect(await state(tokens)).toMatchObject({ settled: 4 })
      })

      test('a reservation refunds nothing to a bucket that came to be after it', async () => {
        const tokens = bucket(10)
        const held = await hold(ledger, [take(tokens, 10)], { leaseMs: HOUR })
        await under.advance(12_000)
        await hold(ledger, [take(tokens, 10)])
        await ledger.settle(held, [0])
        expect(await state(tokens)).toMatchObject({ settled: 10 })
      })

      test('a cost above the charge is debt, and is not forgotten before it has drained', async () => {
        const tokens = bucket(10)
        await ledger.settle(await hold(ledger, [take(tokens, 10)]), [100])
        expect(await state(tokens)).toMatchObject({ settled: 100 })
        await under.advance(95_000)
        expect(await state(tokens)).toMatchObject({ settled: 5 })
      })
    })

    describe('leases', () => {
      test('a hold that outlives its lease is charged in full, once', async () => {
        const budget = lifetime(100)
        const held = await hold(ledger, [take(budget, 40), take(places(5)), take(ring(50), 7), take(bucket(50), 7)])
        await under.advance(LEASE - 1)
        expect(await ledger.reap(10)).toEqual([])
        await under.advance(1)
        const amounts = held.charges.map((charge) => ({ key: charge.accumulator.key, amount: charge.amount }))
        expect(await ledger.reap(10)).toEqual([{ id: held.id, charges: amounts }])
        expect(await ledger.reap(10)).toEqual([])
        expect(await ledger.balances([budget, places(5)])).toEqual([
          { limit: 100, settled: 40, held: 0 },
          { limit: 5, settled: 0, held: 0 },
        ])
        expect(await ledger.reserve(asks(held.charges, { id: held.id }))).toEqual({
          kind: 'duplicate',
          state: 'expired',
        })
      })

      test('a late settlement corrects an expired hold by the difference, once', async () => {
        const budget = lifetime(100)
        const held = await hold(ledger, [take(budget, 40), take(places(5))])
        await under.advance(LEASE)
        await ledger.reap(10)
        expect(await ledger.settle(held, [15, 1])).toEqual({ kind: 'settled', before: 'expired', overshoot: 0 })
        expect(await ledger.settle(held, [15, 1])).toEqual({ kind: 'already' })
        expect(await ledger.balances([budget, places(5)])).toEqual([
          { limit: 100, settled: 15, held: 0 },
          { limit: 5, settled: 0, held: 0 },
        ])
      })

      test('an extended hold lives on; an id that is no longer held is answered', async () => {
        const live = await hold(ledger, [take(lifetime(100))])
        const over = await hold(ledger, [take(lifetime(100, { shard: 900 }))])
        await ledger.settle(over, [1])
        const stranger = { id: freshId(), charges: live.charges }
        await under.advance(60_000)
        expect([...(await ledger.extend([live, over, stranger], LEASE))].sort()).toEqual([over.id, stranger.id].sort())
        await under.advance(60_000)
        expect(await ledger.reap(10)).toEqual([])
        await under.advance(30_000)
        expect(await ledger.reap(10)).toMatchObject([{ id: live.id }])
        expect(await ledger.extend([live], LEASE)).toEqual([live.id])
      })

      test('one call reaps no more than it may, the next goes on', async () => {
        const ids = new Set<string>()
        for (let index = 0; index < 5; index += 1) {
          ids.add((await hold(ledger, [take(lifetime(100, { key: `k${index}`, shard: index * 200 }))])).id)
        }
        await under.advance(LEASE)
        const first = await ledger.reap(3)
        const second = await ledger.reap(3)
        expect([first.length, second.length]).toEqual([3, 2])
        expect(new Set([...first, ...second].map(({ id }) => id))).toEqual(ids)
      })

      test('open holds are listed, oldest lease first, at most as many as asked for', async () => {
        const late = await hold(ledger, [take(lifetime(100, { shard: 3 }), 2)], { leaseMs: 50_000 })
        const soon = await hold(ledger, [take(lifetime(100, { shard: 4, key: 'other' }), 3)], { leaseMs: 20_000 })
        const listed = await ledger.holds(10)
        expect(listed.map(({ id }) => id)).toEqual([soon.id, late.id])
        expect(listed[0]).toEqual({
          id: soon.id,
          atUs: soon.atUs,
          leaseUntilMs: under.nowMs() + 20_000,
          charges: [{ key: 'other', amount: 3 }],
        })
        expect(await ledger.holds(1)).toHaveLength(1)
      })

      test('a hold is found while it can be settled, and settles like the original', async () => {
        const shapes = [lifetime(100), thisHour(100), places(5), ring(50), bucket(50)]
        const held = await hold(
          ledger,
          shapes.map((one) => take(one)),
        )
        const found = await ledger.find(held.id)
        expect(found).toEqual(held)
        await under.advance(LEASE)
        await ledger.reap(10)
        const expired = await ledger.find(held.id)
        expect(expired?.charges).toEqual(held.charges)
        if (expired) await ledger.settle(expired, [0, 0, 1, 0, 0])
        expect((await ledger.balances(shapes)).every(({ settled, held: open }) => settled === 0 && open === 0)).toBe(
          true,
        )
        expect(await ledger.find(held.id)).toBeUndefined()
        expect(await ledger.find(freshId())).toBeUndefined()
      })
    })

    test('reading balances changes nothing and creates nothing', async () => {
      const some = [lifetime(1), places(2), ring(3), bucket(4), thisHour(5, { limitVersion: 9 })]
      const first = await ledger.balances(some)
      expect(first.map(({ limit }) => limit)).toEqual([1, 2, 3, 4, 5])
      expect(await ledger.balances(some)).toEqual(first)
      expect(await state(thisHour(6, { limitVersion: 1 }))).toMatchObject({ limit: 6 })
      await ledger.ping()
    })

    test('a day-long window keeps its spend for its whole length', async () => {
      const startMs = under.nowMs()
      const day = accumulator({ kind: 'budget', window: { startMs, endMs: startMs + DAY } }, 100)
      await ledger.settle(await hold(ledger, [take(day, 70)]), [70])
      await under.advance(DAY - 1)
      expect(await ledger.reserve(asks([take(day, 31)]))).toMatchObject({ shortfalls: [{ retryAfterMs: 1 }] })
    })
  })
}
