import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { isLessRate, parseRatio, scaleUp } from '../../../src/domain/prices/prices.ts'

describe('prices', () => {
  test('a ratio is the exact fraction of its decimal', () => {
    expect(parseRatio('1.1')).toEqual({ numerator: 11n, denominator: 10n })
    expect(parseRatio('2.25')).toEqual({ numerator: 225n, denominator: 100n })
    expect(parseRatio('1')).toEqual({ numerator: 1n, denominator: 1n })
  })

  test.each(['', '-1', '1e3', '1.', '.5', '1.0000001', 'x'])('refuses %j as a ratio', (text) =>
    expect(parseRatio(text)).toBeUndefined(),
  )

  test('scaling never comes out below the exact product, and at most one above it', () => {
    fc.assert(
      fc.property(fc.nat(2 ** 31), fc.nat(9_999), fc.nat(999_999), (count, whole, fraction) => {
        const ratio = parseRatio(`${String(whole)}.${String(fraction).padStart(6, '0')}`)
        if (ratio === undefined) throw new Error('unreachable')
        const scaled = BigInt(scaleUp(count, ratio)) * ratio.denominator
        const exact = BigInt(count) * ratio.numerator
        expect(scaled).toBeGreaterThanOrEqual(exact)
        expect(scaled - exact).toBeLessThan(ratio.denominator)
      }),
    )
  })

  test('scaling saturates where a double would lose count', () => {
    const double = { numerator: 2n, denominator: 1n }
    expect(scaleUp(Number.MAX_SAFE_INTEGER - 1, double)).toBe(Number.MAX_SAFE_INTEGER)
    expect(scaleUp(Number.POSITIVE_INFINITY, double)).toBe(Number.MAX_SAFE_INTEGER)
  })

  test('rates of different units compare by what one unit costs', () => {
    expect(isLessRate({ nanoUsd: 5n, per: 1_000_000n }, { nanoUsd: 1n, per: 1_000n })).toBe(true)
    expect(isLessRate({ nanoUsd: 1_000n, per: 1_000_000n }, { nanoUsd: 1n, per: 1_000n })).toBe(false)
  })
})
