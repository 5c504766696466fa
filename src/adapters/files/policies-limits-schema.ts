/**
 * `limits` and `budgets`: what is counted, for whom, and how much of it there is.
 */
import { z } from 'zod'
import { WEEKDAYS } from '../../domain/policy/policy.ts'
import type { Dimension, LimitShape } from '../../domain/policy/policy.ts'
import { match } from './policies-match.ts'
import { block, duration, list, message, name, timeOfDay, timeZone, usd, wholeNumber } from './policies-values.ts'

/** A longer key would not fit into the name of a counter. */
const KEY_DIMENSIONS_MAX = 8

/** Rates of one limit. */
const RATES_MAX = 8

const DAY_MS = 86_400_000

const UNITS = {
  requests: 'requests',
  tokens: 'tokens',
  inputTokens: 'input_tokens',
  outputTokens: 'output_tokens',
} as const
const UNIT_NAMES = ['requests', 'tokens', 'inputTokens', 'outputTokens'] as const

/** One counter of a limit: what it counts and how. */
export interface RateText {
  readonly unit: (typeof UNITS)[keyof typeof UNITS] | 'concurrent'
  readonly shape: LimitShape
  readonly fit: boolean
}

const window = duration({
  minMs: 1_000,
  maxMs: 31 * DAY_MS,
  hint: 'a duration such as 30s, 1m or 24h, from 1s to 31d',
}).refine((ms) => ms % 1_000 === 0, 'a window has whole seconds')

/** Whether an answer may be made shorter, so that it fits into what is left. */
const fit = z.boolean('true or false').default(false)

/** What a shorter answer takes less of. */
const GROWING: ReadonlySet<string> = new Set(['tokens', 'outputTokens'])

const rate = block({
  requests: wholeNumber(1).optional(),
  tokens: wholeNumber(1).optional(),
  inputTokens: wholeNumber(1).optional(),
  outputTokens: wholeNumber(1).optional(),
  window,
  burst: wholeNumber(1).optional(),
  algorithm: z.enum(['gcra', 'fixed', 'sliding'], 'one of gcra, fixed and sliding').optional(),
  fit,
}).transform((written, context): RateText => {
  const fail = (path: string[], text: string) => {
    context.addIssue({ code: 'custom', message: text, path, input: written })
    return z.NEVER
  }
  const [counted, ...others] = UNIT_NAMES.filter((unit) => written[unit] !== undefined)
  if (counted === undefined || others.length > 0)
    return fail([], 'exactly one of requests, tokens, inputTokens and outputTokens')
  const amount = written[counted] ?? 0
  const algorithm = written.algorithm ?? (counted === 'requests' ? 'gcra' : 'sliding')
  if (written.burst !== undefined && algorithm !== 'gcra') {
    return fail(
      ['burst'],
      `only a gcra rate has a burst; this one is ${algorithm}: add algorithm: gcra or remove burst`,
    )
  }
  if (written.fit && !GROWING.has(counted)) {
    return fail(['fit'], `only tokens and outputTokens grow with an answer; this rate counts ${counted}: remove fit`)
  }
  if (written.fit && algorithm === 'gcra') {
    return fail(['fit'], 'only a fixed or sliding rate has room to fit an answer into: remove fit or the algorithm')
  }
  const span = { amount, periodMs: written.window }
  const shape =
    algorithm === 'gcra' ? { kind: algorithm, ...span, burst: written.burst ?? amount } : { kind: algorithm, ...span }
  return { unit: UNITS[counted], shape, fit: written.fit }
})

/** The dimensions whose values, taken together, have a counter of their own. */
export function key(dimensions: readonly Dimension[]) {
  return list(z.enum(dimensions, `one of ${dimensions.join(', ')}`))
    .min(1, 'name at least one dimension')
    .max(KEY_DIMENSIONS_MAX, `at most ${String(KEY_DIMENSIONS_MAX)} dimensions`)
    .refine((names) => new Set(names).size === names.length, 'names a dimension twice')
}

/** What becomes of calls under a rule while the ledger is away; a rule without it follows the set. */
export const onLedgerError = z.enum(['closed', 'local'], 'one of closed and local').optional()

const enforce = block({
  action: z.literal('reject', 'only reject').default('reject'),
  message: message.optional(),
})

export function limit(dimensions: readonly Dimension[]) {
  return block({
    name,
    match: match(dimensions),
    key: key(dimensions),
    weigh: z.literal('classification', 'only classification').optional(),
    rates: list(rate)
      .max(RATES_MAX, `at most ${String(RATES_MAX)} rates`)
      .default([]),
    concurrent: wholeNumber(1).optional(),
    enforce: enforce.prefault({}),
    on_ledger_error: onLedgerError,
  }).refine(
    ({ rates, concurrent }) => rates.length > 0 || concurrent !== undefined,
    'limits nothing: add rates or concurrent',
  )
}

const PERIODS = ['minute', 'hour', 'day', 'week', 'month', 'lifetime'] as const

const DATED: ReadonlySet<string> = new Set(['day', 'week', 'month'])

const amount = block({
  usd: usd.optional(),
  tokens: wholeNumber(0).optional(),
  requests: wholeNumber(0).optional(),
  period: z.enum(PERIODS, `one of ${PERIODS.join(', ')}`),
  timezone: timeZone.optional(),
  at: timeOfDay.optional(),
  weekStart: z.enum(WEEKDAYS, `one of ${WEEKDAYS.join(', ')}`).optional(),
}).transform((written, context) => {
  const { usd: money, tokens, requests, period, timezone, at, weekStart } = written
  const fail = (path: string[], text: string) =>
    context.addIssue({ code: 'custom', message: text, path, input: written })
  const given = [money, tokens, requests].filter((amount) => amount !== undefined)
  if (given.length !== 1) fail([], 'exactly one of usd, tokens and requests')
  if (period === 'lifetime' && timezone !== undefined) fail(['timezone'], 'a lifetime has no calendar: remove timezone')
  if (at !== undefined && !DATED.has(period)) {
    fail(['at'], `only a day, week or month begins at a time of day: remove at`)
  }
  if (weekStart !== undefined && period !== 'week') {
    fail(['weekStart'], `only a week begins on a weekday: remove weekStart`)
  }
  const unit =
    money !== undefined ? ('usd' as const) : tokens !== undefined ? ('tokens' as const) : ('requests' as const)
  const begins = { atMinutes: at ?? 0, weekStart: WEEKDAYS.indexOf(weekStart ?? 'mon') }
  return { unit, amount: given[0] ?? 0, period, timeZone: timezone ?? 'UTC', ...begins }
})

export function budget(dimensions: readonly Dimension[]) {
  return block({
    name,
    match: match(dimensions),
    key: key(dimensions),
    limit: amount,
    on_ledger_error: onLedgerError,
    fit,
    message: message.optional(),
  })
}

export type LimitText = z.output<ReturnType<typeof limit>>
export type BudgetText = z.output<ReturnType<typeof budget>>
