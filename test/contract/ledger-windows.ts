/**
 * What every ledger owes at the edges of windows and when a policy moves them or changes an amount, with calls in flight.
 */
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Accumulator } from '../../src/domain/ledger/accumulator.ts'
import type { Hold, ReserveOutcome } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { HOUR, accumulator, asks, hold, hourly, lifetime, places, ring, take } from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

const CALLS = 100
const DAY = 24 * HOUR

export function ledgerWindowContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`windows and amounts that change, on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const state = async (one: Accumulator) => (await ledger.balances([one]))[0]
    const all = <Result>(count: number, make: (index: number) => Promise<Result>) =>
      Promise.all(Array.from({ length: count }, (_, index) => make(index)))

    /** A day whose name stays while its edges lie `movedMs` later. */
    const day = (movedMs: number, limit: number) => {
      const startMs = Math.floor(under.nowMs() / DAY) * DAY + movedMs
      const window = { startMs, endMs: startMs + DAY }
      return accumulator({ kind: 'budget', window }, limit, { key: 'rule|the-day' })
    }

    const untilTwoOClock = () => under.advance(Math.ceil(under.nowMs() / DAY) * DAY + 2 * HOUR - under.nowMs())

    describe('an edge', () => {
      test('with 100 calls in flight: each settles in the window that held it, and the next one begins with nothing', async () => {
        const before = hourly(under.nowMs(), CALLS * 10)
        const slots = places(CALLS + 1)
        const charges = (one: Accumulator) => [take(one, 10), take(slots)]
        const holds = await all(CALLS, () => hold(ledger, charges(before)))
        expect(await ledger.reserve(asks(charges(before)))).toMatchObject({
          kind: 'refused',
          shortfalls: [{ index: 0 }],
        })

        await under.advance(HOUR)
        const after = hourly(under.nowMs(), 40)
        const [settled, outcomes] = await Promise.all([
          Promise.all(holds.map((held, index) => ledger.settle(held, [index % 10, 1]))),
          all(20, () => ledger.reserve(asks([take(after, 10)]))),
        ])
        expect(settled.every((outcome) => outcome.kind === 'settled' && outcome.overshoot === 0)).toBe(true)
        expect(tally(outcomes)).toEqual({ held: 4, refused: 16 })
        expect(await ledger.balances([before, after, slots])).toEqual([
          { limit: CALLS * 10, settled: 450, held: 0 },
          { limit: 40, settled: 0, held: 40 },
          { limit: CALLS + 1, settled: 0, held: 0 },
        ])
      })

      test('passed between two of 100 reservations: no call is in both windows or in none', async () => {
        const before = hourly(under.nowMs(), 1_000)
        const holds = await all(CALLS / 2, () => hold(ledger, [take(before)]))
        await under.advance(HOUR)
        const late = await all(CALLS / 2, () => ledger.reserve(asks([take(before)])))
        expect(late.every((outcome) => outcome.kind === 'stale' && outcome.nowMs === under.nowMs())).toBe(true)
        const after = hourly(under.nowMs(), 1_000)
        const again = await all(CALLS / 2, () => hold(ledger, [take(after)]))
        await Promise.all([...holds, ...again].map((held) => ledger.settle(held, [1])))
        expect([await state(before), await state(after)]).toEqual([
          { limit: 1_000, settled: CALLS / 2, held: 0 },
          { limit: 1_000, settled: CALLS / 2, held: 0 },
        ])
      })
    })

    describe('a window whose edges are moved while it runs', () => {
      test('goes on with what is settled and held, whichever edges a call was planned by', async () => {
        await untilTwoOClock()
        const [was, is] = [day(0, 100), day(HOUR, 100)]
        const old = await hold(ledger, [take(was, 30)])
        await ledger.settle(await hold(ledger, [take(was, 25)]), [20])
        expect(await state(is)).toEqual({ limit: 100, settled: 20, held: 30 })
        expect(tally(await all(10, (index) => ledger.reserve(asks([take(index % 2 === 0 ? was : is, 10)]))))).toEqual({
          held: 5,
          refused: 5,
        })
        await ledger.settle(old, [30])
        expect(await state(is)).toEqual({ limit: 100, settled: 50, held: 50 })
      })

      test('ends by the edges of the call, and outlives the earlier ones', async () => {
        await untilTwoOClock()
        const [was, is] = [day(0, 100), day(HOUR, 100)]
        await ledger.settle(await hold(ledger, [take(was, 60)]), [60])
        await under.advance(22 * HOUR)
        expect(await ledger.reserve(asks([take(was)]))).toMatchObject({ kind: 'stale' })
        expect(await ledger.reserve(asks([take(is, 41)]))).toMatchObject({
          kind: 'refused',
          shortfalls: [{ state: { settled: 60 }, retryAfterMs: HOUR }],
        })
        expect(await ledger.reserve(asks([take(is, 40)]))).toMatchObject({ kind: 'held' })
      })
    })

    describe('an amount that is changed with calls in flight', () => {
      const purse = (limit: number, limitVersion: number) => lifetime(limit, { limitVersion })

      test('raised: nodes of both policies admit together what the newer one affords, to the unit', async () => {
        const holds = await all(10, () => hold(ledger, [take(purse(100, 1), 10)]))
        expect(await ledger.reserve(asks([take(purse(100, 1), 1)]))).toMatchObject({ kind: 'refused' })
        expect(await ledger.reserve(asks([take(purse(170, 2), 10)]))).toMatchObject({ kind: 'held' })
        const both = (index: number) => (index % 2 === 0 ? purse(100, 1) : purse(170, 2))
        expect(tally(await all(40, (index) => ledger.reserve(asks([take(both(index), 10)]))))).toEqual({
          held: 6,
          refused: 34,
        })
        await Promise.all(holds.map((held) => ledger.settle(held, [10])))
        expect(await state(purse(100, 1))).toEqual({ limit: 170, settled: 100, held: 70 })
      })

      test('lowered below what is held: what is in flight settles, nothing more is admitted until there is room', async () => {
        const holds = await all(10, () => hold(ledger, [take(purse(100, 1), 10)]))
        const lowered = purse(55, 2)
        expect(tally(await all(10, () => ledger.reserve(asks([take(lowered)]))))).toEqual({ refused: 10 })
        await settleAll(ledger, holds, 5)
        expect(await state(lowered)).toEqual({ limit: 55, settled: 50, held: 0 })
        expect(tally(await all(10, () => ledger.reserve(asks([take(lowered)]))))).toEqual({ held: 5, refused: 5 })
        // The older node is judged by the lower amount as soon as the newer one has admitted anything.
        expect(await ledger.reserve(asks([take(purse(100, 1))]))).toMatchObject({
          kind: 'refused',
          shortfalls: [{ state: { limit: 55 } }],
        })
      })
    })

    describe('a list of budgets', () => {
      const list = async (wanted: (key: string) => boolean) => {
        const pages = await Array.fromAsync(ledger.budgets(wanted))
        const byKey = (left: { key: string }, right: { key: string }) => (left.key < right.key ? -1 : 1)
        const seen = pages.reduce((sum, page) => sum + page.seen, 0)
        return { seen, budgets: pages.flatMap(({ budgets }) => budgets).toSorted(byKey) }
      }

      test('has what is settled and held of those that are wanted, and changes nothing', async () => {
        const month = hourly(under.nowMs(), 50, { key: 'month|b:c' })
        const charges = [take(lifetime(100, { key: 'ever|a' }), 30), take(month, 9), take(places(3)), take(ring(9))]
        await ledger.settle(await hold(ledger, charges), [20, 8, 1, 1])
        await hold(ledger, charges)
        const whole = [
          { key: 'ever|a', settled: 20, held: 30, limit: 100 },
          { key: 'month|b:c', settled: 8, held: 9, limit: 50 },
        ]
        expect(await list(() => true)).toEqual({ seen: 2, budgets: whole })
        expect(await list((key) => key.startsWith('month'))).toEqual({ seen: 2, budgets: whole.slice(1) })
        expect(await list(() => false)).toEqual({ seen: 2, budgets: [] })
        await under.advance(HOUR + 66 * 60_000)
        expect(await list(() => true)).toEqual({ seen: 1, budgets: whole.slice(0, 1) })
      })

      test('is whole however many there are', async () => {
        await all(2_500, (index) =>
          ledger.reserve(asks([take(lifetime(9, { key: `many|${index}`, shard: index % 1_024 }))])),
        )
        const { budgets } = await list(() => true)
        expect(new Set(budgets.map(({ key }) => key)).size).toBe(2_500)
        expect(budgets.every(({ settled, held, limit }) => settled === 0 && held === 1 && limit === 9)).toBe(true)
      })
    })

    test('8 concurrent first calls of a subject that was never seen: exactly those that fit', async () => {
      for (const subject of ['first', 'second', 'third']) {
        const unseen = (limit: number) => lifetime(limit, { key: `rule|${subject}` })
        const month = hourly(under.nowMs(), 80, { key: `hour|${subject}` })
        const outcomes = await all(8, () =>
          ledger.reserve(asks([take(unseen(80), 30), take(month, 30), take(places(9))])),
        )
        expect(tally(outcomes)).toEqual({ held: 2, refused: 6 })
        expect(await state(unseen(80))).toEqual({ limit: 80, settled: 0, held: 60 })
        expect(await state(month)).toEqual({ limit: 80, settled: 0, held: 60 })
      }
    })
  })
}

async function settleAll(ledger: Ledger, holds: readonly Hold[], actual: number): Promise<void> {
  await Promise.all(holds.map((held) => ledger.settle(held, [actual])))
}

function tally(outcomes: readonly ReserveOutcome[]): Readonly<Record<string, number>> {
  const found: Record<string, number> = {}
  for (const { kind } of outcomes) found[kind] = (found[kind] ?? 0) + 1
  return found
}
