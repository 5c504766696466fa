/**
 * Money is a whole number of nano-dollars (1e-9 USD). No floating point touches it: prices are parsed from decimal
 * strings, costs are exact rationals until one rounding up, and reports add bigints.
 */

declare const nanoUsd: unique symbol

/** A whole number of nano-dollars. 1 USD = 1_000_000_000n. */
export type NanoUsd = bigint & { readonly [nanoUsd]: true }

const NANO_PER_USD = 1_000_000_000n

/** The largest amount one accumulator can hold: Redis Lua compares doubles, which are exact up to 2^53 - 1. */
export const AMOUNT_MAX = Number.MAX_SAFE_INTEGER

const DECIMAL = /^(\d{1,10})(?:\.(\d{1,9}))?$/

/** Brands a bigint that is known to count nano-dollars. */
export function toNanoUsd(value: bigint): NanoUsd {
  // The brand carries no data; this is the one place that applies it.
  return value as NanoUsd
}

export const ZERO_USD = toNanoUsd(0n)

/** Reads a decimal dollar string such as `"12.50"` (at most 9 decimals, no sign, no exponent). */
export function parseUsd(text: string): NanoUsd | undefined {
  const match = DECIMAL.exec(text)
  if (!match) return undefined
  const [, whole = '0', fraction = ''] = match
  return toNanoUsd(BigInt(whole) * NANO_PER_USD + BigInt(fraction.padEnd(9, '0')))
}

/** Writes nano-dollars as dollars with exactly nine decimals, e.g. `"0.006700000"`; negative amounts keep their sign. */
export function formatUsd(value: NanoUsd): string {
  return decimalOf(value < 0n ? '-' : '', (value < 0n ? 0n - value : value).toString())
}

/** {@link formatUsd} for what a ledger counts: a whole number that a double holds exactly needs no bigint to be written. */
export function formatAmount(amount: number): string {
  if (!Number.isSafeInteger(amount)) return formatUsd(toNanoUsd(BigInt(amount)))
  return decimalOf(amount < 0 ? '-' : '', Math.abs(amount).toString())
}

function decimalOf(sign: string, digits: string): string {
  const text = digits.length < 10 ? digits.padStart(10, '0') : digits
  return `${sign}${text.slice(0, -9)}.${text.slice(-9)}`
}

/** Reads what {@link formatUsd} wrote, sign included. */
export function parseFormattedUsd(text: string): NanoUsd | undefined {
  const negative = text.startsWith('-')
  const parsed = parseUsd(negative ? text.slice(1) : text)
  if (parsed === undefined) return undefined
  return negative ? toNanoUsd(0n - parsed) : parsed
}

export function addUsd(left: NanoUsd, right: NanoUsd): NanoUsd {
  return toNanoUsd(left + right)
}

/** The smaller of two amounts. */
export function minUsd(left: NanoUsd, right: NanoUsd): NanoUsd {
  return left < right ? left : right
}

/** The larger of two amounts. */
export function maxUsd(left: NanoUsd, right: NanoUsd): NanoUsd {
  return left > right ? left : right
}

/**
 * Nano-dollars as the plain integer a ledger counts. Saturates at {@link AMOUNT_MAX}: no limit may be larger, so a
 * saturated charge can only be refused, never let through too cheaply.
 */
export function toAmount(value: NanoUsd): number {
  return value > BigInt(AMOUNT_MAX) ? AMOUNT_MAX : Number(value)
}

/** Divides rounding up; both operands must be positive or zero, the divisor positive. */
export function divideRoundingUp(numerator: bigint, divisor: bigint): bigint {
  return (numerator + divisor - 1n) / divisor
}
