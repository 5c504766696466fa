import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import {
  AMOUNT_MAX,
  divideRoundingUp,
  formatAmount,
  formatUsd,
  parseFormattedUsd,
  parseUsd,
  toAmount,
  toNanoUsd,
} from '../../../src/domain/prices/money.ts'

const amount = fc.bigInt({ min: 0n, max: 10n ** 18n - 1n }).map(toNanoUsd)

describe('money', () => {
  test('what is written is read back, with its sign', () => {
    fc.assert(
      fc.property(amount, fc.boolean(), (value, negative) => {
        const signed = toNanoUsd(negative ? 0n - value : value)
        expect(parseFormattedUsd(formatUsd(signed))).toBe(signed)
      }),
    )
  })

  test('what a ledger counts is written as the money that it is, however large', () => {
    fc.assert(
      fc.property(fc.oneof(fc.maxSafeInteger(), fc.integer()), (counted) => {
        expect(formatAmount(counted)).toBe(formatUsd(toNanoUsd(BigInt(counted))))
      }),
    )
    expect(formatAmount(1e22)).toBe('10000000000000.000000000')
    expect(() => formatAmount(Number.NaN)).toThrow(RangeError)
  })

  test('a decimal is exactly its nano-dollars', () => {
    expect(parseUsd('0.1')).toBe(100_000_000n)
    expect(parseUsd('12.50')).toBe(12_500_000_000n)
    expect(parseUsd('0.000000001')).toBe(1n)
    expect(formatUsd(toNanoUsd(6_700_000n))).toBe('0.006700000')
  })

  test.each(['', '.5', '1.', '-1', '+1', '1e3', '0x1', ' 1', '1 ', '1,5', '0.0000000001', 'NaN', '١'])(
    'refuses %j, which is no plain decimal of at most nine places',
    (text) => expect(parseUsd(text)).toBeUndefined(),
  )

  test('division rounds up, and only as far as the next whole', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: 0n, max: 10n ** 30n }), fc.bigInt({ min: 1n, max: 10n ** 12n }), (top, bottom) => {
        const result = divideRoundingUp(top, bottom)
        expect(result * bottom).toBeGreaterThanOrEqual(top)
        expect((result - 1n) * bottom).toBeLessThan(top)
      }),
    )
  })

  test('an amount too large for a ledger saturates, so that it can only be refused', () => {
    expect(toAmount(toNanoUsd(BigInt(AMOUNT_MAX) + 1n))).toBe(AMOUNT_MAX)
    expect(toAmount(toNanoUsd(7n))).toBe(7)
  })
})
