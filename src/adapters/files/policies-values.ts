/**
 * The scalars of the policy language, each with a message that says what would be right. Their outputs are normalised
 * (milliseconds, nano-dollars), so that two ways to write one thing have one digest.
 */
import { z } from 'zod'
import { DIMENSION_VALUE_MAX } from '../../domain/identity.ts'
import { AMOUNT_MAX, parseUsd } from '../../domain/prices/money.ts'
import { isTimeZone } from '../../domain/ledger/zone.ts'

/** Longest message an author can give a refused caller. */
const MESSAGE_MAX = 500

const UNITS_MS: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** An object that has only these keys; the message of an unknown one lists them. */
export function block<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  const known = Object.keys(shape).join(', ')
  return z.strictObject(shape, {
    error: (issue) => {
      if (issue.code === 'unrecognized_keys') return `unknown key; known here: ${known}`
      return issue.code === 'invalid_type' ? `expected a mapping of ${known}` : undefined
    },
  })
}

export function list<Item extends z.ZodType>(item: Item) {
  return z.array(item, { error: 'expected a list' })
}

export const name = z
  .string({ error: 'expected a name' })
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a name has letters, digits, dots, underscores and hyphens, at most 64')

/** Any value of a dimension. */
export const value = z
  .string({ error: 'expected text; put quotes around numbers and around true and false' })
  .min(1, 'must not be empty')
  .max(DIMENSION_VALUE_MAX, `at most ${String(DIMENSION_VALUE_MAX)} characters`)
  .refine(
    (text) => text === text.normalize('NFC'),
    'must be in Unicode normalisation form NFC, as values of tokens are',
  )

/** A name callers send as `model`, or the one a provider knows. */
export const modelName = z
  .string({ error: 'expected the name of a model' })
  .regex(/^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/, 'a model name has letters, digits and . _ : / @ -, at most 128')

/** A model name in which `*` stands for any text. */
export const modelPattern = z
  .string({ error: 'expected the name of a model or a pattern with *' })
  .regex(/^[A-Za-z0-9*][A-Za-z0-9._:/@*-]{0,127}$/, 'a model name or a pattern with *, at most 128 characters')

export const message = z
  .string({ error: 'expected text' })
  .min(1, 'must not be empty')
  .max(MESSAGE_MAX, `at most ${String(MESSAGE_MAX)} characters`)

/** A whole number that counters hold exactly. */
export function wholeNumber(min: number, max = AMOUNT_MAX) {
  const error = `a whole number from ${String(min)} to ${String(max)}, without quotes and underscores`
  return z.int({ error }).min(min, error).max(max, error)
}

/** `30s`, `1m`, `24h`; to milliseconds. */
export function duration(bounds: { readonly minMs: number; readonly maxMs: number; readonly hint: string }) {
  const { minMs, maxMs, hint } = bounds
  return z
    .string({ error: hint })
    .regex(/^\d{1,9}(ms|s|m|h|d)$/, hint)
    .transform((text) => Number.parseInt(text, 10) * (UNITS_MS[text.replace(/^\d+/, '')] ?? 0))
    .refine((ms) => ms >= minMs && ms <= maxMs, hint)
}

/** A quoted decimal; to nano-dollars. Unquoted numbers pass through binary fractions, so they are refused. */
export const usd = z.string({ error: 'money is a quoted decimal such as "2500.00"' }).transform((text, context) => {
  const nano = parseUsd(text)
  if (nano !== undefined && nano <= BigInt(AMOUNT_MAX)) return Number(nano)
  const fault =
    nano === undefined
      ? 'money is a decimal such as "2500.00": no sign, no currency, at most 9 decimals'
      : 'at most "9007199.254740991": counters are exact up to that'
  context.addIssue({ code: 'custom', message: fault, input: text })
  return z.NEVER
})

export const timeZone = z
  .string({ error: 'expected an IANA time zone such as Europe/Berlin' })
  .refine(isTimeZone, 'not an IANA time zone; write one such as UTC or Europe/Berlin')

const TIME_OF_DAY = 'a time of day from "00:00" to "23:59"'

/** `06:30`; to minutes after midnight. */
export const timeOfDay = z
  .string({ error: TIME_OF_DAY })
  .regex(/^([01]\d|2[0-3]):[0-5]\d$/, TIME_OF_DAY)
  .transform((text) => Number(text.slice(0, 2)) * 60 + Number(text.slice(3)))
