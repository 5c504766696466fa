/**
 * What every ledger owes to the owner of a hold that its store has lost.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Ledger } from '../../src/ports/ledger.ts'
import { HOUR, LEASE, asks, bucket, hold, hourly, lifetime, places, ring, take } from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

export function ledgerLossContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`holds that are lost, on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const everyKind = () => [lifetime(100), hourly(under.nowMs(), 100), places(5), ring(100), bucket(100)]
    const heldOfEveryKind = () =>
      hold(
        ledger,
        everyKind().map((one) => take(one)),
      )
    const sums = async () => (await ledger.balances(everyKind())).map(({ settled, held }) => [settled, held])

    test('a hold keeps the name of its owner', async () => {
      const held = await hold(ledger, [take(lifetime(10), 3)], { owner: 'gateway-2/audit/x7' })
      expect(held.owner).toBe('gateway-2/audit/x7')
      expect(await ledger.find(held.id)).toEqual(held)
      await expect(ledger.reserve(asks([], { owner: 'a|b' }))).rejects.toThrow('owner')
      await expect(ledger.reserve(asks([], { owner: '' }))).rejects.toThrow('owner')
    })

    describe('brought back', () => {
      test('it holds its budgets and its place again, above every limit, and nothing of rings and buckets', async () => {
        const held = await heldOfEveryKind()
        await under.clear()
        await hold(ledger, [take(lifetime(100), 100), take(places(1))])
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'reasserted' })
        expect(await sums()).toEqual([
          [0, 101],
          [0, 1],
          [0, 2],
          [0, 0],
          [0, 0],
        ])
        expect(await ledger.reserve(asks([take(lifetime(100))]))).toMatchObject({ kind: 'refused' })
        expect(await ledger.settle(held, [1, 1, 1, 0, 0])).toEqual({ kind: 'settled', before: 'held', overshoot: 0 })
      })

      test('it lives for its lease, is extended, found and charged like any other', async () => {
        const held = await heldOfEveryKind()
        await under.clear()
        expect(await ledger.extend([held], LEASE)).toEqual([held.id])
        await ledger.reassert(held, LEASE)
        expect(await ledger.find(held.id)).toMatchObject({ id: held.id, owner: held.owner, charges: held.charges })
        await under.advance(LEASE - 1)
        expect(await ledger.extend([held], LEASE)).toEqual([])
        await under.advance(LEASE)
        expect(await ledger.reap(10)).toMatchObject([{ id: held.id }])
        expect((await sums()).slice(0, 3)).toEqual([
          [1, 0],
          [1, 0],
          [0, 0],
        ])
      })

      test('twice is once', async () => {
        const held = await hold(ledger, [take(lifetime(100), 30)])
        await under.clear()
        await ledger.reassert(held, LEASE)
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'known', state: 'held' })
        expect((await sums())[0]).toEqual([0, 30])
      })

      test('a hold that the ledger knows is left as it is, whatever its state', async () => {
        const held = await hold(ledger, [take(lifetime(100), 30)], { leaseMs: 1_000 })
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'known', state: 'held' })
        await under.advance(1_000)
        await ledger.reap(10)
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'known', state: 'expired' })
        expect((await sums())[0]).toEqual([30, 0])
        await ledger.settle(held, [10])
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'known', state: 'settled' })
        expect((await sums())[0]).toEqual([10, 0])
      })

      test('its ring and bucket get nothing back that they never counted, and count what was billed beyond', async () => {
        const charges = [take(ring(1_000), 50), take(bucket(1_000), 50)]
        const [cheap, dear] = [await hold(ledger, charges), await hold(ledger, charges)]
        await under.clear()
        await hold(ledger, [take(ring(1_000), 100), take(bucket(1_000), 100)])
        await ledger.reassert(cheap, LEASE)
        await ledger.settle(cheap, [1, 1])
        expect((await sums()).slice(3)).toEqual([
          [100, 0],
          [100, 0],
        ])
        await ledger.reassert(dear, LEASE)
        await ledger.settle(dear, [57, 57])
        expect((await sums()).slice(3)).toEqual([
          [107, 0],
          [107, 0],
        ])
      })

      test('it does not bring back a window that is no longer kept', async () => {
        const held = await hold(ledger, [take(hourly(under.nowMs(), 100), 40)])
        const { accumulator } = held.charges[0] ?? take(lifetime(0))
        await under.clear()
        await under.advance(HOUR + 66 * 60_000)
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'reasserted' })
        expect(await ledger.balances([accumulator])).toEqual([{ limit: 100, settled: 0, held: 0 }])
        expect(await ledger.settle(held, [40])).toMatchObject({ kind: 'settled' })
        expect(await ledger.balances([accumulator])).toEqual([{ limit: 100, settled: 0, held: 0 }])
      })

      test('a window that it brings back ends like any other', async () => {
        const held = await hold(ledger, [take(hourly(under.nowMs(), 100), 40)])
        const { accumulator } = held.charges[0] ?? take(lifetime(0))
        await under.clear()
        await ledger.reassert(held, LEASE)
        await ledger.settle(held, [40])
        await under.advance(HOUR)
        expect(await ledger.balances([accumulator])).toMatchObject([{ settled: 40 }])
        await under.advance(66 * 60_000)
        expect(await ledger.balances([accumulator])).toMatchObject([{ settled: 0 }])
      })
    })

    describe('settled by force', () => {
      test('its amounts are posted, once, and nothing stays held', async () => {
        const held = await heldOfEveryKind()
        await under.clear()
        const settle = () => ledger.settle(held, [7, 9, 1, 1, 1], { force: true })
        expect(await settle()).toEqual({ kind: 'settled', before: 'unknown', overshoot: 2 })
        expect(await settle()).toEqual({ kind: 'already' })
        expect((await sums()).slice(0, 3)).toEqual([
          [7, 0],
          [9, 0],
          [0, 0],
        ])
        expect(await ledger.holds(10)).toEqual([])
        expect(await ledger.reserve({ ...asks(held.charges), id: held.id })).toEqual({
          kind: 'duplicate',
          state: 'settled',
        })
      })

      test('a hold that the ledger knows is settled as without force', async () => {
        const held = await hold(ledger, [take(lifetime(100), 30)])
        expect(await ledger.settle(held, [10], { force: true })).toEqual({
          kind: 'settled',
          before: 'held',
          overshoot: 0,
        })
        expect((await sums())[0]).toEqual([10, 0])
      })

      test('a void one stays void', async () => {
        const held = await hold(ledger, [take(lifetime(100), 30)])
        await ledger.void(held)
        expect(await ledger.settle(held, [10], { force: true })).toEqual({ kind: 'already' })
        expect((await sums())[0]).toEqual([0, 0])
      })
    })
  })
}
