/**
 * What every ledger owes as time passes: rings, buckets and leases.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Accumulator } from '../../src/domain/ledger/accumulator.ts'
import type { Hold } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import {
  HOUR,
  LEASE,
  accumulator,
  asks,
  bucket,
  freshId,
  hold,
  hourly,
  lifetime,
  places,
  ring,
  take,
} from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

export function ledgerTimeContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`the ledger's times on ${name}`, () => {
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
        const kept: Hold[] = []
        for (let call = 0; call < 6; call += 1) {
          kept.push(await hold(ledger, [take(tokens, 10)], { leaseMs: HOUR }))
          await under.advance(10_000)
        }
        await hold(ledger, [take(tokens, 10)])
        for (const each of kept) {
          await ledger.settle(each, [1])
          expect(await ledger.reserve(asks([take(tokens, 9)]))).toMatchObject({ kind: 'refused' })
        }
        expect(await state(tokens)).toMatchObject({ settled: 10 })
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
        // A refund before it raises the mark of the reservation above what the bucket has drained when it is forgotten.
        await ledger.settle(await hold(ledger, [take(tokens, 10)]), [0])
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

      test('an extension never shortens a lease', async () => {
        const held = await hold(ledger, [take(lifetime(100))], { leaseMs: LEASE })
        expect(await ledger.extend([held], 1_000)).toEqual([])
        expect(await ledger.holds(1)).toMatchObject([{ leaseUntilMs: under.nowMs() + LEASE }])
        await under.advance(LEASE - 1)
        expect(await ledger.reap(10)).toEqual([])
        await under.advance(1)
        expect(await ledger.reap(10)).toHaveLength(1)
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
          owner: soon.owner,
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

    test('what a call cost beyond its charge is owed also to a bucket that had drained and was forgotten', async () => {
      const one = bucket(10)
      const held = await hold(ledger, [take(one, 3)])
      await under.advance(60_000)
      await ledger.settle(held, [15])
      expect(await state(one)).toMatchObject({ settled: 12 })
      expect(await ledger.reserve(asks([take(one)]))).toMatchObject({ shortfalls: [{ retryAfterMs: 3_000 }] })
      await under.advance(3_000)
      expect(await ledger.reserve(asks([take(one)]))).toMatchObject({ kind: 'held' })
    })

    describe('a clock that is set back', () => {
      test('does not bring back what was forgotten', async () => {
        const held = await hold(ledger, [take(lifetime(10), 3)])
        await ledger.settle(held, [3])
        await under.advance(120_000)
        expect(await ledger.settle(held, [3])).toEqual({ kind: 'unknown' })
        await under.advance(-1)
        expect(await ledger.settle(held, [3])).toEqual({ kind: 'unknown' })
      })

      test('makes no room in a ring that began anew: nothing is given back that it does not have', async () => {
        await under.advance(10_000 - (under.nowMs() % 10_000))
        const window = ring(10)
        const held = await hold(ledger, [take(window, 8)])
        await under.advance(70_000)
        await state(window)
        await under.advance(-1)
        await hold(ledger, [take(window, 4)])
        await ledger.void(held)
        expect(await state(window)).toMatchObject({ settled: 4 })
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
      const day = accumulator({ kind: 'budget', window: { startMs, endMs: startMs + 24 * HOUR } }, 100)
      await ledger.settle(await hold(ledger, [take(day, 70)]), [70])
      await under.advance(24 * HOUR - 1)
      expect(await ledger.reserve(asks([take(day, 31)]))).toMatchObject({ shortfalls: [{ retryAfterMs: 1 }] })
    })
  })
}
