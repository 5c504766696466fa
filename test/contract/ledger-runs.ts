/**
 * What every ledger owes of runs: a span of time that begins with the first admitted charge, and budgets that are forgotten
 * some time after their last use.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Accumulator } from '../../src/domain/ledger/accumulator.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { HOUR, LEASE, asks, hold, lifetime, run, span, take } from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

const MINUTE = 60_000
const DAY = 24 * HOUR

export function ledgerRunContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`the contract of runs on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const state = async (one: Accumulator) => (await ledger.balances([one]))[0]
    const spent = (used: number, limit: number) => ({ limit, settled: used, held: 0 })

    describe('a span', () => {
      test('begins with its first admitted charge and refuses from its last millisecond on, for good', async () => {
        const hour = span(HOUR)
        await under.advance(5 * MINUTE)
        expect(await state(hour)).toEqual(spent(0, HOUR))
        const first = await hold(ledger, [take(hour)])
        expect(first.marks).toEqual([under.nowMs()])
        await under.advance(HOUR - 1)
        expect((await hold(ledger, [take(hour)])).marks).toEqual(first.marks)
        await under.advance(1)
        const refused = { index: 0, state: spent(HOUR, HOUR), retryAfterMs: null }
        expect(await ledger.reserve(asks([take(hour)]))).toEqual({ kind: 'refused', shortfalls: [refused] })
        await under.advance(DAY - 1)
        expect(await ledger.reserve(asks([take(hour)]))).toMatchObject({ kind: 'refused' })
      })

      test('is not begun by a refused call', async () => {
        const hour = span(HOUR)
        expect(await ledger.reserve(asks([take(hour), take(lifetime(0))]))).toMatchObject({ kind: 'refused' })
        await under.advance(MINUTE)
        expect(await state(hour)).toEqual(spent(0, HOUR))
      })

      test('holds nothing, and goes on whatever becomes of its calls', async () => {
        const hour = span(HOUR)
        const [settled, voided] = [await hold(ledger, [take(hour)]), await hold(ledger, [take(hour)])]
        const lost = await hold(ledger, [take(hour)])
        await under.advance(MINUTE)
        await ledger.settle(settled, [1])
        await ledger.void(voided)
        expect(await state(hour)).toEqual(spent(MINUTE, HOUR))
        await under.advance(LEASE)
        expect(await ledger.reap(10)).toMatchObject([{ id: lost.id }])
        expect(await ledger.settle(lost, [0])).toEqual({ kind: 'settled', before: 'expired', overshoot: 0 })
        expect(await state(hour)).toEqual(spent(MINUTE + LEASE, HOUR))
      })

      test('is forgotten only the named time after its end: a finished run stays finished', async () => {
        const hour = span(HOUR, { shape: { kind: 'span', keptMs: DAY } })
        await hold(ledger, [take(hour)])
        await under.advance(HOUR + DAY - 1)
        expect(await ledger.reserve(asks([take(hour)]))).toMatchObject({ kind: 'refused' })
        await under.advance(1)
        expect(await state(hour)).toEqual(spent(0, HOUR))
        await hold(ledger, [take(hour)])
      })

      test('a longer limit goes on from where the run began, and the newest policy wins', async () => {
        const [hour, longer] = [span(HOUR), span(3 * HOUR, { limitVersion: 2 })]
        await hold(ledger, [take(hour)])
        await under.advance(2 * HOUR)
        expect(await ledger.reserve(asks([take(hour)]))).toMatchObject({ kind: 'refused' })
        await hold(ledger, [take(longer)])
        expect(await state(hour)).toEqual(spent(2 * HOUR, 3 * HOUR))
        await hold(ledger, [take(hour)])
        await under.advance(HOUR)
        expect(await ledger.reserve(asks([take(longer)]))).toMatchObject({ kind: 'refused' })
      })

      test('a span without length admits nobody', async () => {
        expect(await ledger.reserve(asks([take(span(0))]))).toMatchObject({ kind: 'refused' })
      })

      test('a lost span goes on from where it began', async () => {
        const hour = span(HOUR)
        const held = await hold(ledger, [take(hour)])
        await under.advance(30 * MINUTE)
        await under.clear()
        await hold(ledger, [take(hour)])
        await under.advance(10 * MINUTE)
        expect(await ledger.reassert(held, LEASE)).toEqual({ kind: 'reasserted' })
        expect(await ledger.find(held.id)).toMatchObject({ marks: held.marks })
        expect(await state(hour)).toEqual(spent(40 * MINUTE, HOUR))
        await under.advance(20 * MINUTE)
        expect(await ledger.reserve(asks([take(hour)]))).toMatchObject({ kind: 'refused' })
      })

      test('a lost span that would be forgotten by now stays forgotten', async () => {
        const hour = span(HOUR, { shape: { kind: 'span', keptMs: MINUTE } })
        const held = await hold(ledger, [take(hour)])
        await under.clear()
        await under.advance(HOUR + MINUTE)
        await ledger.reassert(held, LEASE)
        expect(await state(hour)).toEqual(spent(0, HOUR))
      })

      test('a charge of anything but one is a fault of the caller', async () => {
        await expect(ledger.reserve(asks([take(span(HOUR), 2)]))).rejects.toThrow('charges[0].amount')
      })
    })

    describe('a budget that is kept for a time', () => {
      const kept = (keptMs: number) => run(100, { shape: { kind: 'budget', window: null, keptMs } })

      test('is forgotten that long after its last charge, and no sooner', async () => {
        const budget = kept(HOUR)
        await ledger.settle(await hold(ledger, [take(budget, 60)]), [60])
        await under.advance(HOUR - 1)
        const second = await hold(ledger, [take(budget, 10)])
        await under.advance(HOUR - 1)
        expect(await state(budget)).toEqual({ limit: 100, settled: 60, held: 10 })
        expect(await ledger.reserve(asks([take(budget, 31)]))).toMatchObject({ kind: 'refused' })
        await under.advance(1)
        expect(await state(budget)).toEqual({ limit: 100, settled: 0, held: 0 })
        // Its last call comes too late: nothing is brought back that would have no end.
        await ledger.settle(second, [10])
        expect(await state(budget)).toEqual({ limit: 100, settled: 0, held: 0 })
      })

      test('a settlement and an expiry are uses, a refusal is none', async () => {
        const budget = kept(HOUR)
        const [settled, lost] = [await hold(ledger, [take(budget, 40)]), await hold(ledger, [take(budget, 50)])]
        await under.advance(HOUR - 1)
        await ledger.settle(settled, [30])
        await under.advance(HOUR - 1)
        expect(await ledger.reap(10)).toMatchObject([{ id: lost.id }])
        await under.advance(HOUR - 1)
        await ledger.settle(lost, [20])
        await under.advance(HOUR - 1)
        expect(await state(budget)).toEqual(spent(50, 100))
        expect(await ledger.reserve(asks([take(budget, 51)]))).toMatchObject({ kind: 'refused' })
        await under.advance(1)
        expect(await state(budget)).toEqual(spent(0, 100))
      })

      test('a hold that was lost is held again, and kept as long', async () => {
        const budget = kept(HOUR)
        const held = await hold(ledger, [take(budget, 40)])
        await under.clear()
        await ledger.reassert(held, LEASE)
        await under.advance(HOUR - 1)
        expect(await state(budget)).toEqual({ limit: 100, settled: 0, held: 40 })
        await under.advance(1)
        expect(await state(budget)).toEqual(spent(0, 100))
      })

      test('only a budget without a window can be kept so', async () => {
        const window = { startMs: 0, endMs: HOUR }
        const wrong = run(100, { shape: { kind: 'budget', window, keptMs: HOUR } })
        await expect(ledger.reserve(asks([take(wrong)]))).rejects.toThrow('keptMs')
      })
    })
  })
}
