/**
 * From accumulators without room to the one answer that the caller gets: which rule refused, by how much, and whether
 * waiting helps.
 */
import type { PlannedCharge } from './charges.ts'
import { AMOUNT_MAX, formatUsd, toNanoUsd } from '../prices/money.ts'
import type { Unit } from '../policy/policy.ts'
import { refuse, type Refusal, type RefusalCode, type RefusalLimit } from '../refusal.ts'
import type { Shortfall } from './reservation.ts'
import { formatInstant } from './zone.ts'

/** What calls in flight hold comes free when they end, which nobody knows; a client may look again after this long. */
export const HELD_RETRY_MS = 1_000

type ShortCode = Extract<
  RefusalCode,
  'budget_exhausted' | 'budget_held' | 'never_fits' | 'rate_limited' | 'concurrency_limited'
>

interface Short {
  readonly charge: PlannedCharge
  readonly code: ShortCode
  /** Until a repeat can succeed; infinite when it never can. */
  readonly waitMs: number
  readonly limit: number
  readonly used: number
  readonly held: number
}

/**
 * The refusal for a reservation that found no room. A budget that is used up, or that the call can never fit, is named
 * first, because no wait that a rate advises would help; otherwise the rule with the longest wait is.
 */
export function refuseForShortfalls(
  planned: readonly PlannedCharge[],
  shortfalls: readonly Shortfall[],
  nowMs: number,
): Refusal {
  const shorts = shortfalls.flatMap((shortfall) => {
    const charge = planned[shortfall.index]
    return charge === undefined ? [] : [judge(charge, shortfall, nowMs)]
  })
  const [first, ...others] = shorts.toSorted(byWeight)
  if (first === undefined) throw new RangeError('shortfalls: at least one must name a planned charge')
  const also = new Set(others.map(({ charge }) => charge.rule))
  also.delete(first.charge.rule)
  return refuse(first.code, textOf(first), {
    limit: factsOf(first),
    retryAfterMs: Number.isFinite(first.waitMs) ? Math.max(1, Math.ceil(first.waitMs)) : undefined,
    also: [...also],
  })
}

function judge(charge: PlannedCharge, { state, retryAfterMs }: Shortfall, nowMs: number): Short {
  const [limit, used, held] = [Math.floor(state.limit), Math.ceil(state.settled), Math.ceil(state.held)]
  const short = { charge, limit, used, held }
  if (charge.amount > limit) return { ...short, code: 'never_fits', waitMs: Number.POSITIVE_INFINITY }
  if (charge.unit === 'concurrent') return { ...short, code: 'concurrency_limited', waitMs: HELD_RETRY_MS }
  const heldOnly = used + charge.amount <= limit && charge.accumulator.shape.kind === 'budget'
  const resetMs = charge.resetsAtMs === undefined ? Number.POSITIVE_INFINITY : charge.resetsAtMs - nowMs
  if (charge.ruleKind === 'limit') {
    return {
      ...short,
      code: 'rate_limited',
      waitMs: heldOnly ? Math.min(HELD_RETRY_MS, resetMs) : (retryAfterMs ?? resetMs),
    }
  }
  return heldOnly
    ? { ...short, code: 'budget_held', waitMs: HELD_RETRY_MS }
    : { ...short, code: 'budget_exhausted', waitMs: resetMs }
}

/** Sorts the answer to the front: spent budgets (money before tokens), then the longest wait, then the narrowest rule. */
function byWeight(left: Short, right: Short): number {
  const [a, b] = [rankOf(left), rankOf(right)]
  if (a !== b) return b - a
  if (left.waitMs !== right.waitMs) return right.waitMs > left.waitMs ? 1 : -1
  if (left.charge.unit === right.charge.unit && left.limit !== right.limit) return left.limit - right.limit
  // Of a run and its parents the outermost, which comes first.
  if (left.charge.rule === right.charge.rule) return 0
  return left.charge.rule < right.charge.rule ? -1 : 1
}

function rankOf({ charge, code }: Short): number {
  if (charge.ruleKind !== 'budget' || code === 'budget_held') return 0
  return charge.unit === 'usd' ? 2 : 1
}

function factsOf({ charge, limit, used, held }: Short): RefusalLimit {
  const { rule, dimension, subject, unit, amount, resetsAtMs } = charge
  const write = (value: number) => numberText(unit, value)
  return {
    rule,
    dimension,
    subject,
    unit,
    limit: write(limit),
    used: write(used),
    held: write(held),
    needed: write(amount),
    resetsAt: resetsAtMs === undefined ? undefined : formatInstant(charge.timeZone ?? 'UTC', resetsAtMs),
  }
}

function textOf(short: Short): string {
  const sentences = [`${headOf(short)} ${adviceOf(short)}`]
  if (short.charge.message !== undefined) sentences.push(short.charge.message)
  return sentences.join(' ')
}

/** `Budget team-month (tenant,team = acme,research): 12.30 of 25.00 USD used, 1.20 held, this call may cost 14.00.` */
function headOf({ charge, limit, used, held }: Short): string {
  const { unit, ruleKind } = charge
  const write = (value: number) => numberText(unit, value)
  const name = `${ruleKind === 'budget' ? 'Budget' : 'Limit'} ${charge.rule} (${charge.dimension} = ${charge.subject})`
  if (unit === 'concurrent') return `${name}: ${write(held)} of ${write(limit)} calls in flight.`
  if (unit === 'ms') return `${name}: the run is over, ${secondsText(used)} of its ${secondsText(limit)} have passed.`
  const need = `this call ${charge.basis === 'upper' && unit !== 'requests' ? 'may cost' : 'needs'} ${write(charge.amount)}`
  const holding = held > 0 ? `, ${write(held)} held` : ''
  return `${name}: ${write(used)} of ${write(limit)} ${NOUNS[unit]}${windowText(charge)} used${holding}, ${need}.`
}

const NOUNS: Readonly<Record<Unit, string>> = {
  requests: 'requests',
  tokens: 'tokens',
  input_tokens: 'input tokens',
  output_tokens: 'output tokens',
  usd: 'USD',
  concurrent: 'calls',
  ms: 'ms',
}

function windowText({ accumulator: { shape } }: PlannedCharge): string {
  if (shape.kind === 'sliding') return ` in ${secondsText(shape.windowMs)}`
  return shape.kind === 'bucket' ? ` at once (${shape.amount} in ${secondsText(shape.periodMs)})` : ''
}

function adviceOf(short: Short): string {
  const { code, charge, waitMs } = short
  const reset = factsOf(short).resetsAt
  switch (code) {
    case 'never_fits':
      return neverFitsAdvice(charge)
    case 'budget_held':
      return 'Calls in flight hold the rest; try again shortly.'
    case 'budget_exhausted':
      return reset === undefined ? 'It does not reset.' : `Resets ${reset}.`
    case 'concurrency_limited':
      return 'Try again when one of them has ended.'
    case 'rate_limited':
      return Number.isFinite(waitMs) ? `Try again in ${secondsText(waitMs)}.` : 'Try again later.'
  }
}

function neverFitsAdvice({ unit }: PlannedCharge): string {
  if (unit === 'requests' || unit === 'concurrent') return 'A call like this never fits.'
  return 'A call of this size never fits, however long you wait: ask for fewer output tokens or send less.'
}

function secondsText(ms: number): string {
  return `${(Math.ceil(ms / 100) / 10).toString()} s`
}

/** Dollars with at least two decimals and no needless zeros; everything else as a whole number. */
function numberText(unit: Unit, value: number): string {
  const whole = Math.min(AMOUNT_MAX, Math.trunc(value))
  if (unit !== 'usd') return String(whole)
  return formatUsd(toNanoUsd(BigInt(whole))).replace(/0{1,7}$/, '')
}
