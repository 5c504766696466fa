import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { affordableTokens, fitted } from '../../../src/domain/ledger/fit.ts'
import type { Fit } from '../../../src/domain/ledger/fit.ts'
import { lifetime, take } from '../../contract/ledger-fixtures.ts'

const whole = fc.oneof(fc.maxSafeNat(), fc.nat(1_000), fc.nat(10_000_000))

const short = fc.record({ limit: whole, settled: whole, held: whole, base: whole, perToken: whole })

test('what is granted fits everywhere, one token more does not, and none of it is rounded', () => {
  let granted = 0
  fc.assert(
    fc.property(
      fc.array(short, { minLength: 1, maxLength: 4 }),
      fc.integer({ min: 1, max: 10_000_000 }),
      (all, asked) => {
        const terms = all.map(({ base, perToken }) => ({ base, perToken, mayShorten: true }))
        const fit: Fit = { asked, least: 1, terms }
        const shortfalls = all.map((state, index) => ({ index, state: { ...state, held: 0, settled: 0 } }))
        const tokens = affordableTokens(fit, shortfalls)
        const fits = (count: bigint) =>
          all.every(({ limit, base, perToken }) => BigInt(base) + BigInt(perToken) * count <= BigInt(limit))
        const grows = terms.every(({ perToken }) => perToken > 0)
        granted += tokens === undefined ? 0 : 1
        // Nothing is granted where not even one token fits; otherwise that much fits, and not one more unless it is all.
        expect(tokens === undefined || fits(BigInt(tokens))).toBe(true)
        expect(tokens === asked || !grows || !fits(BigInt(tokens ?? 0) + 1n)).toBe(true)
      },
    ),
    { numRuns: 2_000 },
  )
  expect(granted).toBeGreaterThan(100)
})

test('charges of a shorter answer are never more than those of the whole', () => {
  const charges = [take(lifetime(10), 7), take(lifetime(10), 900)]
  const terms = [
    { base: 5, perToken: 1, mayShorten: false },
    { base: 100, perToken: 8, mayShorten: true },
  ]
  const fit = { asked: 100, least: 1, terms }
  expect(fitted(charges, fit, 10).map(({ amount }) => amount)).toEqual([7, 180])
  expect(fitted(charges, fit, 100).map(({ amount }) => amount)).toEqual([7, 900])
  expect(fitted(charges, { ...fit, terms: [] }, 10)).toEqual(charges)
})
