/**
 * What one call takes from which accumulators. Every limit and every budget that matches applies; none stands in for
 * another, and a caller that lacks a value which one of them counts by is refused rather than not counted.
 */
import type { Charge } from './accumulator.ts'
import { shapeOf, type Countable } from './accumulator-shape.ts'
import type { Ask } from '../ask.ts'
import { callerRules } from '../policy/caller-rules.ts'
import type { Estimate } from '../prices/estimate.ts'
import type { Identity } from '../identity.ts'
import { holds, isListDimension, matchFacts } from '../policy/match.ts'
import { AMOUNT_MAX, toAmount, type NanoUsd } from '../prices/money.ts'
import type { Dimension, Policy, Unit, Upstream } from '../policy/policy.ts'
import { refuse, type Refusal } from '../refusal.ts'
import { RUN_HEADER } from './run.ts'
import { keysOf, type KeyFault, type RuleKey } from '../policy/rule-keys.ts'

export interface PlannedCharge extends Charge {
  readonly rule: string
  readonly ruleKind: 'limit' | 'budget'
  readonly unit: Unit
  /** The rule's key, e.g. `tenant,team`. */
  readonly dimension: string
  /** The caller's own values of that key, e.g. `acme,research`. */
  readonly subject: string
  /** What the rule's author wants the refused caller to read. */
  readonly message?: string | undefined
  /** End of the window, for rules that have one. */
  readonly resetsAtMs?: number | undefined
  /** Zone whose calendar cut the window. */
  readonly timeZone?: string | undefined
  /** Budgets hold the most a call can take, rates draw what it probably takes. */
  readonly basis: 'upper' | 'expected'
  /** What everything drawn is multiplied by; 1 for all but weighted limits. */
  readonly weight?: number | undefined
  /** Whether an answer may be made shorter to fit into what is left. */
  readonly fit?: boolean | undefined
}

interface Where {
  readonly upstream: Pick<Upstream, 'name'>
}

export interface Planned {
  readonly kind: 'planned'
  readonly charges: readonly PlannedCharge[]
}

/** What a settled call really took. */
export interface Actual {
  readonly costNanoUsd: NanoUsd
  readonly inputTokens: number
  readonly outputTokens: number
}

/** Every charge of one call, or the refusal of a caller that some rule cannot count. */
export function planCharges(
  policy: Policy,
  identity: Identity,
  ask: Pick<Ask, 'model' | 'operation'>,
  target: Where,
  estimate: Estimate,
  nowMs: number,
): Planned | Refusal {
  const request = { model: ask.model, operation: ask.operation, upstream: target.upstream.name }
  const facts = matchFacts(policy.classification, identity, request)
  const charges: PlannedCharge[] = []
  for (const { rule, requestMatch, keys: known, weight } of callerRules(policy, identity)) {
    if (!holds(requestMatch, facts)) continue
    const keys = known ?? keysOf(rule, facts, policy, new Map())
    if (keys.kind === 'fault') return uncountable(rule, keys)
    for (const key of keys.keys) charges.push(chargeOf({ rule, key, weight, estimate, nowMs, version: policy.version }))
  }
  return { kind: 'planned', charges }
}

/**
 * The accumulators that apply to a caller whatever it asks for, with nothing taken from them. Tests of the request (model,
 * operation, upstream) count as passed; rules that count by the request, or that cannot count this caller, are left out.
 */
export function standingCharges(policy: Policy, identity: Identity, nowMs: number): readonly PlannedCharge[] {
  return callerRules(policy, identity).flatMap(({ rule, keys, weight }) => {
    if (keys?.kind !== 'keys') return []
    return keys.keys.map((key) => chargeOf({ rule, key, weight, estimate: undefined, nowMs, version: policy.version }))
  })
}

/** What each planned charge becomes once the call is over; calls and places stay what they are. */
export function actualCharges(planned: readonly PlannedCharge[], actual: Actual): readonly number[] {
  return planned.map((charge) => {
    const amount = actualOf(charge.unit, actual)
    return amount === undefined ? charge.amount : weighed(amount, charge.weight ?? 1)
  })
}

function actualOf(unit: Unit, actual: Actual): number | undefined {
  if (unit === 'usd') return toAmount(actual.costNanoUsd)
  if (unit === 'tokens') return actual.inputTokens + actual.outputTokens
  if (unit === 'input_tokens') return actual.inputTokens
  return unit === 'output_tokens' ? actual.outputTokens : undefined
}

interface Charging {
  readonly rule: Countable
  readonly key: RuleKey
  readonly weight: number
  /** Undefined takes nothing. */
  readonly estimate: Estimate | undefined
  readonly nowMs: number
  readonly version: number
}

function chargeOf(charging: Charging): PlannedCharge {
  const { rule, weight, estimate } = charging
  const standing = standingCharge(charging)
  if (estimate === undefined) return standing
  return { ...standing, amount: drawn({ unit: rule.unit, basis: standing.basis, weight }, estimate, standing) }
}

/**
 * What a key is charged on while its window lasts, with nothing taken. Owned by this file; an entry goes with its key,
 * which belongs to one caller, rule and policy. A pure function of those and of the window.
 */
const standing = new WeakMap<RuleKey, PlannedCharge>()

function standingCharge(charging: Charging): PlannedCharge {
  const { key, nowMs } = charging
  const known = standing.get(key)
  if (known !== undefined && isInWindow(known, nowMs)) return known
  const made = newCharge(charging)
  standing.set(key, made)
  return made
}

function isInWindow({ accumulator: { shape } }: PlannedCharge, nowMs: number): boolean {
  if (shape.kind !== 'budget' || shape.window === null) return true
  return shape.window.startMs <= nowMs && nowMs < shape.window.endMs
}

function newCharge({ rule, key, weight, nowMs, version }: Charging): PlannedCharge {
  const { shape, limit, named } = shapeOf(rule, nowMs)
  const name = named === undefined ? '' : `:${named.name}`
  return {
    accumulator: { key: `${rule.id}:${key.text}${name}`, shard: key.shard, shape, limit, limitVersion: version },
    amount: 0,
    rule: rule.name,
    awayShare: rule.onLedgerError === 'closed' ? undefined : 'shape' in rule ? 'of_limit' : 'of_rest',
    ruleKind: 'shape' in rule ? 'limit' : 'budget',
    unit: rule.unit,
    dimension: key.dimension,
    subject: key.subject,
    message: rule.message,
    resetsAtMs: named?.window.endMs,
    timeZone: 'timeZone' in rule ? rule.timeZone : undefined,
    basis: shape.kind === 'budget' ? 'upper' : 'expected',
    weight,
    fit: 'fit' in rule ? rule.fit : undefined,
  }
}

interface Draw {
  readonly unit: Unit
  readonly basis: 'upper' | 'expected'
  readonly weight: number
}

/**
 * How long an answer will be is a guess, learned from everybody's calls: a guess that is larger than a whole rate must
 * not shut a caller out for ever, so it is cut to what the rate can give. What is sent is known, and is not cut.
 */
function drawn(draw: Draw, estimate: Estimate, { accumulator: { limit } }: PlannedCharge): number {
  const amount = amountOf(draw, estimate)
  if (draw.basis === 'upper' || amount <= limit) return amount
  return Math.max(limit, amountOf(draw, unanswered(estimate)))
}

/** The same call with an answer of no length. */
function unanswered(estimate: Estimate): Estimate {
  return { ...estimate, outputTokens: { expected: 0, upper: 0 } }
}

function amountOf({ unit, basis, weight }: Draw, estimate: Estimate): number {
  const { inputTokens, outputTokens, cost } = estimate
  switch (unit) {
    case 'concurrent':
    case 'ms':
      return 1
    case 'requests':
      return weighed(1, weight)
    case 'tokens':
      return weighed(inputTokens[basis] + outputTokens[basis], weight)
    case 'input_tokens':
      return weighed(inputTokens[basis], weight)
    case 'output_tokens':
      return weighed(outputTokens[basis], weight)
    case 'usd':
      return weighed(toAmount(cost[basis]), weight)
  }
}

/** A whole number of units; what is too large for a counter is too large for every limit. */
function weighed(amount: number, weight: number): number {
  return Math.min(AMOUNT_MAX, Math.ceil(amount * weight))
}

function uncountable(rule: Countable, fault: KeyFault): Refusal {
  const kind = 'shape' in rule ? 'Limit' : 'Budget'
  if (fault.problem === 'too_many') {
    return refuse(
      'access_denied',
      `${kind} ${rule.name} counts each ${fault.dimension} of yours, and you have too many of them.`,
      {
        reason: `too_many:${fault.dimension}`,
      },
    )
  }
  return refuse(
    'identity_incomplete',
    `${kind} ${rule.name} counts by ${fault.dimension}, but ${whatIsMissing(fault.dimension)}.`,
    {
      reason: `missing_dimension:${fault.dimension}`,
    },
  )
}

function whatIsMissing(dimension: Dimension): string {
  if (dimension === 'run') {
    return `this call names none: neither your token nor, where your issuer allows it, the header ${RUN_HEADER}`
  }
  return `your token has no ${isListDimension(dimension) ? `${dimension} that it counts` : dimension}`
}
