/**
 * What every ledger owes of a reservation that may be made smaller for a shorter answer.
 */
import { isDeepStrictEqual } from 'node:util'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'

import type { Accumulator, Charge } from '../../src/domain/ledger/accumulator.ts'
import type { Fit, FitTerm } from '../../src/domain/ledger/fit.ts'
import type { Hold } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { until } from '../support/until.ts'
import { accumulator, asks, bucket, hold, hourly, lifetime, places, ring, take } from './ledger-fixtures.ts'
import type { LedgerUnderTest } from './ledger-fixtures.ts'

/** 1,000 tokens of answer were asked for, 100 would do. */
const fitOf = (...terms: readonly FitTerm[]): Fit => ({ asked: 1_000, least: 100, terms })
const grows = (base: number, perToken: number): FitTerm => ({ base, perToken, mayShorten: true })
const firm = (base: number, perToken = 0): FitTerm => ({ base, perToken, mayShorten: false })

export function ledgerFitContract(name: string, open: () => Promise<LedgerUnderTest>): void {
  describe(`the contract of shorter answers on ${name}`, () => {
    let under: LedgerUnderTest
    let ledger: Ledger
    beforeAll(async () => {
      under = await open()
      ledger = under.ledger
    })
    beforeEach(async () => under.clear())
    afterAll(async () => under[Symbol.asyncDispose]())

    const state = async (one: Accumulator) => (await ledger.balances([one]))[0]
    const amounts = (charges: readonly Charge[]) => charges.map(({ amount }) => amount)

    async function granted(charges: readonly Charge[], terms: readonly FitTerm[], id = {}) {
      const outcome = await ledger.reserve(asks(charges, { fit: fitOf(...terms), ...id }))
      if (outcome.kind !== 'held') throw new Error(`expected a hold, not ${JSON.stringify(outcome)}`)
      return { hold: outcome.hold, granted: outcome.granted, states: outcome.states }
    }

    describe('reserving', () => {
      test('an answer that fits whole is held whole', async () => {
        const charges = [take(lifetime(2_050), 2_050), take(places(1))]
        const outcome = await granted(charges, [grows(50, 2), firm(1)])
        expect(outcome).toMatchObject({ granted: 1_000, hold: { charges } })
        expect(await state(lifetime(2_050))).toMatchObject({ held: 2_050 })
      })

      test('one that does not is shortened to what is left, and every kind is charged for the short one', async () => {
        const budget = lifetime(1_000)
        const others = [
          lifetime(9_000, { key: 'other' }),
          ring(9_000),
          bucket(9_000),
          places(3),
          hourly(under.nowMs(), 9_000),
        ]
        await hold(ledger, [take(budget, 149)])
        const charges = [
          take(budget, 2_050),
          ...others.map((one) => take(one, one.shape.kind === 'concurrency' ? 1 : 3_100)),
        ]
        const terms = [grows(50, 2), firm(100, 3), firm(100, 3), firm(100, 3), firm(1), firm(100, 3)]
        const outcome = await granted(charges, terms)
        // (1000 - 149 - 50) / 2, rounded down.
        expect(outcome.granted).toBe(400)
        expect(amounts(outcome.hold.charges)).toEqual([850, 1_300, 1_300, 1_300, 1, 1_300])
        expect(outcome.states.map(({ settled, held }) => settled + held)).toEqual([149, 0, 0, 0, 0, 0])
        const after = await ledger.balances([budget, ...others])
        expect(after.map(({ settled, held }) => settled + held)).toEqual([999, 1_300, 1_300, 1_300, 1, 1_300])
      })

      test('the accumulator that affords the shortest answer decides', async () => {
        const rooms = [lifetime(800, { key: 'a' }), lifetime(500, { key: 'b', shard: 900 }), ring(700)]
        const charges = rooms.map((one) => take(one, 1_010))
        const outcome = await granted(charges, [grows(10, 1), grows(10, 1), grows(10, 1)])
        expect(outcome.granted).toBe(490)
        expect(amounts(outcome.hold.charges)).toEqual([500, 500, 500])
      })

      test('a charge never grows by the rounding of its terms', async () => {
        const exact = lifetime(5_000, { key: 'exact', shard: 12 })
        const outcome = await granted([take(lifetime(900), 1_000), take(exact, 1_500)], [grows(0, 1), firm(0, 2)])
        expect(outcome.granted).toBe(900)
        expect(amounts(outcome.hold.charges)).toEqual([900, 1_500])
      })

      test('the least of use is granted, one token less is refused and changes nothing', async () => {
        const charges = [take(lifetime(300), 2_050), take(ring(9_000), 1_100)]
        const terms = [grows(50, 2), firm(100, 1)]
        await hold(ledger, [take(lifetime(300), 51)])
        const plain = await ledger.reserve(asks(charges))
        expect(await ledger.reserve(asks(charges, { fit: fitOf(...terms) }))).toEqual(plain)
        expect(plain).toMatchObject({ kind: 'refused', shortfalls: [{ index: 0, state: { held: 51 } }] })
        expect(await ledger.balances([lifetime(300), ring(9_000)])).toMatchObject([{ held: 51 }, { settled: 0 }])
        expect((await granted(charges, [grows(49, 2), firm(100, 1)])).granted).toBe(100)
      })

      test.each([
        ['a rule that keeps answers whole is short', [grows(0, 1), firm(0, 1)]],
        ['what is short does not grow with the answer', [grows(0, 1), grows(0, 0)]],
        ['what is sent is too much already', [grows(0, 1), grows(501, 1)]],
      ])('nothing is shortened when %s', async (_, terms) => {
        const charges = [take(lifetime(500, { key: 'one' }), 1_000), take(lifetime(500, { key: 'two' }), 1_000)]
        expect(await ledger.reserve(asks(charges, { fit: fitOf(...terms) }))).toMatchObject({
          kind: 'refused',
          shortfalls: [{ index: 0 }, { index: 1 }],
        })
        expect(await ledger.holds(10)).toEqual([])
      })

      test('large amounts are divided exactly', async () => {
        const most = Number.MAX_SAFE_INTEGER
        const terms = { asked: 94_906_300, least: 1, terms: [grows(1, 94_906_267)] }
        const outcome = await ledger.reserve(asks([take(lifetime(most - 1), most)], { fit: terms }))
        expect(outcome).toMatchObject({ kind: 'held', granted: Number((BigInt(most) - 2n) / 94_906_267n) })
        expect(await state(lifetime(most - 1))).toMatchObject({ held: 1 + 94_906_264 * 94_906_267 })
      })

      test('a malformed request is rejected', async () => {
        const charges = [take(lifetime(10)), take(places(1))]
        const terms = [grows(0, 1), firm(1)]
        for (const wrong of [
          { ...fitOf(...terms), least: 0 },
          { ...fitOf(...terms), asked: 99 },
          fitOf(grows(0, 1)),
          fitOf(grows(-1, 1), firm(1)),
          fitOf(grows(0, 0.5), firm(1)),
          fitOf(grows(0, 1), firm(0)),
        ]) {
          await expect(ledger.reserve(asks(charges, { fit: wrong }))).rejects.toThrow(RangeError)
        }
      })
    })

    describe('what is granted', () => {
      const budget = lifetime(1_000)
      const window = () => hourly(under.nowMs(), 9_000)
      const charges = () => [take(budget, 2_050), take(window(), 3_100), take(ring(9_000), 1_100), take(places(3))]
      const terms = [grows(50, 2), firm(100, 3), firm(100, 1), firm(1)]
      /** 475 tokens: 1000, 1525 and 575 are held, and a place. */
      const held = (id = {}) => granted(charges(), terms, id)
      const all = async () =>
        (await ledger.balances([budget, window(), ring(9_000), places(3)])).map((one) => [one.settled, one.held])

      test('is what is settled and freed', async () => {
        const { hold: taken } = await held()
        expect(await ledger.settle(taken, [1_000, 1_525, 575, 1])).toEqual({
          kind: 'settled',
          before: 'held',
          overshoot: 0,
        })
        expect(await all()).toEqual([
          [1_000, 0],
          [1_525, 0],
          [575, 0],
          [0, 0],
        ])
      })

      test('is found, listed and, once its lease is over, charged', async () => {
        const { hold: taken } = await held()
        expect(await ledger.find(taken.id)).toMatchObject({
          charges: charges().map(({ accumulator: { key } }, index) => ({
            accumulator: { key },
            amount: [1_000, 1_525, 575, 1][index],
          })),
        })
        expect((await ledger.holds(1)).flatMap((one) => one.charges.map(({ amount }) => amount))).toEqual([
          1_000, 1_525, 575, 1,
        ])
        await under.advance(90_000)
        expect((await ledger.reap(1)).map((one) => one.charges.map(({ amount }) => amount))).toEqual([
          [1_000, 1_525, 575, 1],
        ])
        expect((await all()).slice(0, 2)).toEqual([
          [1_000, 0],
          [1_525, 0],
        ])
        // A late settlement corrects by the difference to what was granted.
        await ledger.settle(taken, [400, 25, 575, 1])
        expect((await all()).slice(0, 2)).toEqual([
          [400, 0],
          [25, 0],
        ])
      })

      test('is all that a void frees, whose caller never learned what was granted', async () => {
        const other = await hold(ledger, [take(window(), 700)])
        const request = asks(charges(), { fit: fitOf(...terms) })
        await ledger.reserve(request)
        expect(await ledger.void(request)).toMatchObject({ before: 'held' })
        expect(await all()).toEqual([
          [0, 0],
          [0, 700],
          [0, 0],
          [0, 0],
        ])
        await ledger.settle(other, [700])
      })

      test('is what a settlement by such a caller replaces, also after the lease', async () => {
        for (const isLate of [false, true]) {
          await under.clear()
          const request = asks(charges(), { fit: fitOf(...terms) })
          const outcome = await ledger.reserve(request)
          if (outcome.kind !== 'held') throw new Error('not held')
          const blind: Hold = { ...outcome.hold, charges: request.charges }
          if (isLate) await under.advance(90_000)
          if (isLate) await ledger.reap(1)
          await ledger.settle(blind, [10, 20, 30, 1])
          expect((await all()).slice(0, 2)).toEqual([
            [10, 0],
            [20, 0],
          ])
        }
      })

      test('stays what it is when the request comes twice', async () => {
        const request = asks(charges(), { fit: fitOf(...terms) })
        await ledger.reserve(request)
        expect(await ledger.reserve(request)).toEqual({ kind: 'duplicate', state: 'held' })
        expect(await all()).toEqual([
          [0, 1_000],
          [0, 1_525],
          [575, 0],
          [0, 1],
        ])
      })
    })

    test('many at once over several shards never pass a limit, agree on their answers, and the rest is not lost', async () => {
      const [near, far] = [lifetime(10_000, { key: 'near', shard: 3 }), lifetime(19_000, { key: 'far', shard: 900 })]
      const request = () => asks([take(near, 1_300), take(far, 2_600)], { fit: fitOf(grows(300, 1), grows(600, 2)) })
      const held: Hold[] = []
      const reserve = async () => {
        const outcome = await ledger.reserve(request())
        if (outcome.kind === 'held') held.push(outcome.hold)
        return outcome.kind
      }
      const sumsOf = () =>
        [0, 1].map((index) => held.reduce((sum, { charges }) => sum + (charges[index]?.amount ?? 0), 0))
      // What calls took from each other is given back soon: whoever comes then gets it.
      const givenBack = () =>
        until('what refused calls held is given back', async () => {
          const states = await ledger.balances([near, far])
          return isDeepStrictEqual(
            states.map((one) => one.held),
            sumsOf(),
          )
            ? states
            : undefined
        })
      await Promise.all(Array.from({ length: 50 }, reserve))
      await givenBack()
      for (let turn = 0; turn < 50 && (await reserve()) === 'held'; turn += 1);
      await givenBack()
      const sums = sumsOf()
      expect(sums[0]).toBeLessThanOrEqual(10_000)
      // The far budget ends first: an answer of 100 tokens takes 800 of it.
      expect(sums[1]).toBe(2 * (sums[0] ?? 0))
      expect(sums[1]).toBeGreaterThan(19_000 - 800)
      expect(sums[1]).toBeLessThanOrEqual(19_000)
    })

    test('many at once never pass the limit, and leave less than the least of use', async () => {
      const shared = accumulator({ kind: 'budget', window: null }, 10_000, { key: 'shared' })
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, () =>
          ledger.reserve(
            asks([take(shared, 1_300), take(ring(1_000_000), 1_000)], { fit: fitOf(grows(300, 1), firm(0, 1)) }),
          ),
        ),
      )
      const taken = outcomes.flatMap((one) => (one.kind === 'held' ? [one.hold.charges[0]?.amount ?? 0] : []))
      const after = await state(shared)
      expect(after?.held).toBe(taken.reduce((sum, amount) => sum + amount, 0))
      expect(after?.held).toBeLessThanOrEqual(10_000)
      expect(after?.held).toBeGreaterThan(10_000 - 400)
      expect(outcomes.filter((one) => one.kind === 'held' && one.granted !== 1_000)).toHaveLength(1)
    })
  })
}
