/**
 * What every ledger owes to the owner of a hold after its end: which of its holds expired, and what the notes of its
 * settlements say.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import { LEDGER_NOTE_MAX } from '../../src/domain/ledger/accumulator-check.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { HOUR, LEASE, hold, hourly, lifetime, places, ring, take } from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

const OWNER = 'gateway-1/audit/log-a'
const DAY = 24 * HOUR

export function ledgerExpiryContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`after the end of a hold, on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const state = async () => (await ledger.balances([lifetime(100)]))[0]
    const expiredIds = async (max = 10) => (await ledger.expired(OWNER, max)).map(({ id }) => id)
    const held = (amount: number, owner = OWNER) => hold(ledger, [take(lifetime(100), amount)], { owner })

    /** Outlives the lease of everything that is held. */
    async function lapse(): Promise<void> {
      await under.advance(LEASE)
      await ledger.reap(100)
    }

    describe('expired holds', () => {
      test('are listed to their owner alone, whole, and change by that in nothing', async () => {
        const charges = [
          take(lifetime(100), 30),
          take(hourly(under.nowMs(), 100), 7),
          take(places(5)),
          take(ring(50), 2),
        ]
        const own = await hold(ledger, charges, { owner: OWNER })
        await held(1, 'gateway-2/audit/log-b')
        expect(await ledger.expired(OWNER, 10)).toEqual([])
        await lapse()
        expect(await ledger.expired(OWNER, 10)).toEqual([own])
        expect(await ledger.expired(OWNER, 10)).toEqual([own])
        expect(await ledger.expired('nobody', 10)).toEqual([])
        await expect(ledger.expired('a|b', 10)).rejects.toThrow('owner')
      })

      test('are listed from all shards, the longest expired first, at most as many as asked for', async () => {
        const ids: string[] = []
        for (const shard of [900, 3, 77]) {
          const one = await hold(ledger, [take(lifetime(100, { shard, key: `k${shard}` }))], { owner: OWNER })
          ids.push(one.id)
          await lapse()
        }
        expect(await expiredIds()).toEqual(ids)
        expect(await expiredIds(2)).toEqual(ids.slice(0, 2))
      })

      test('are off the list once they are settled by the difference, or void', async () => {
        const [late, void_] = [await held(30), await held(40)]
        await lapse()
        expect(await state()).toEqual({ limit: 100, settled: 70, held: 0 })
        expect(await ledger.settle(late, [10])).toEqual({ kind: 'settled', before: 'expired', overshoot: 0 })
        expect(await expiredIds()).toEqual([void_.id])
        await ledger.void(void_)
        expect(await expiredIds()).toEqual([])
        expect(await state()).toEqual({ limit: 100, settled: 10, held: 0 })
        expect(await ledger.settle(late, [10])).toEqual({ kind: 'already' })
      })

      test('are corrected in the window of their reservation, also when another has begun', async () => {
        const first = hourly(under.nowMs(), 100)
        const call = await hold(ledger, [take(first, 40)], { owner: OWNER })
        await under.advance(HOUR)
        await ledger.reap(10)
        const second = hourly(under.nowMs(), 100)
        const [expired] = await ledger.expired(OWNER, 10)
        expect(expired).toEqual(call)
        await ledger.settle(call, [15])
        expect(await ledger.balances([first, second])).toMatchObject([{ settled: 15 }, { settled: 0 }])
      })

      test('are final after a week', async () => {
        const call = await held(30)
        await lapse()
        await under.advance(7 * DAY - 1)
        expect(await expiredIds()).toEqual([call.id])
        await under.advance(1)
        expect(await expiredIds()).toEqual([])
        expect(await ledger.settle(call, [10])).toEqual({ kind: 'unknown' })
        expect(await state()).toMatchObject({ settled: 30 })
      })

      test('are charged once, however many reap at a time', async () => {
        for (let call = 0; call < 20; call += 1) await held(3)
        await under.advance(LEASE)
        const reaped = await Promise.all(Array.from({ length: 5 }, () => ledger.reap(100)))
        expect(reaped.flat()).toHaveLength(20)
        expect(await state()).toEqual({ limit: 100, settled: 60, held: 0 })
        expect(await expiredIds(100)).toHaveLength(20)
      })
    })

    describe('the note of a settlement', () => {
      test('is there once the call is settled, and a repeat does not change it', async () => {
        const call = await held(30)
        expect(await ledger.noteOf(call.id)).toBeUndefined()
        await ledger.settle(call, [10], { note: '["ok"]' })
        await ledger.settle(call, [99], { note: '["other"]' })
        expect(await ledger.noteOf(call.id)).toBe('["ok"]')
        expect(await ledger.find(call.id)).toBeUndefined()
      })

      test('is not there for an unknown call, nor for a void one', async () => {
        const call = await held(30)
        await ledger.void(call)
        expect(await ledger.noteOf(call.id)).toBeUndefined()
        expect(await ledger.noteOf('never.1')).toBeUndefined()
      })

      test('has a longest length', async () => {
        const call = await held(30)
        await expect(ledger.settle(call, [10], { note: 'x'.repeat(LEDGER_NOTE_MAX + 1) })).rejects.toThrow(
          'note: at most',
        )
        expect(await ledger.settle(call, [10], { note: 'x'.repeat(LEDGER_NOTE_MAX) })).toMatchObject({
          kind: 'settled',
        })
      })

      test('and the settlement are kept for a day when nobody releases them', async () => {
        const call = await held(30)
        await ledger.settle(call, [10], { note: '["ok"]' })
        await under.advance(DAY - 1)
        expect(await ledger.noteOf(call.id)).toBe('["ok"]')
        expect(await ledger.settle(call, [10])).toEqual({ kind: 'already' })
        await under.advance(1)
        expect(await ledger.noteOf(call.id)).toBeUndefined()
        expect(await ledger.settle(call, [10])).toEqual({ kind: 'unknown' })
      })

      test('is forgotten at its release, and the settlement two minutes later', async () => {
        const call = await held(30)
        await ledger.settle(call, [10], { note: '["ok"]' })
        await under.advance(HOUR)
        await ledger.release([call])
        expect(await ledger.noteOf(call.id)).toBeUndefined()
        await under.advance(119_999)
        await ledger.release([call])
        expect(await ledger.settle(call, [10])).toEqual({ kind: 'already' })
        await under.advance(1)
        expect(await ledger.settle(call, [10])).toEqual({ kind: 'unknown' })
      })

      test('is released with those of other shards', async () => {
        const calls = await Promise.all(
          [900, 3, 77].map((shard) => hold(ledger, [take(lifetime(100, { shard, key: `k${shard}` }))])),
        )
        for (const call of calls) await ledger.settle(call, [1], { note: '["ok"]' })
        await ledger.release(calls)
        expect(await Promise.all(calls.map(({ id }) => ledger.noteOf(id)))).toEqual(calls.map(() => undefined))
      })

      test('releasing what is not settled changes nothing', async () => {
        const [call, gone] = [await held(30), await held(20)]
        await ledger.settle(gone, [20], { note: '["ok"]' })
        await under.clear()
        await ledger.reassert(gone, LEASE)
        await ledger.release([call, gone])
        expect(await ledger.settle(gone, [7])).toEqual({ kind: 'settled', before: 'held', overshoot: 0 })
        expect(await state()).toEqual({ limit: 100, settled: 7, held: 0 })
        expect(await ledger.settle(call, [30])).toEqual({ kind: 'unknown' })
      })
    })
  })
}
