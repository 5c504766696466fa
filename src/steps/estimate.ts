import type { Ask } from '../domain/ask.ts'
import type { Calibration } from '../domain/prices/calibration.ts'
import type { Call } from '../domain/call.ts'
import { byteBound, expectedInput, fixedTokens, outputBound, type Estimate } from '../domain/prices/estimate.ts'
import type { NanoUsd } from '../domain/prices/money.ts'
import type { Unit } from '../domain/policy/policy.ts'
import type { ModelPrice } from '../domain/prices/prices.ts'
import type { Refusal } from '../domain/refusal.ts'
import type { Shortfall } from '../domain/ledger/reservation.ts'
import type { TokenCounter } from '../ports.ts'
import { assemble, boundCost, type Estimated } from './estimate/assemble.ts'
import { refuseUnbounded } from './estimate/unbounded.ts'

export interface EstimateLimits {
  /** The access rule's own maximum of output tokens for one choice, when it has one. */
  readonly outputTokensMax: number | undefined
  readonly nowMs: number
}

/** What {@link refine} needs to know of a planned charge. */
export interface ShortCharge {
  readonly amount: number
  readonly unit: Unit
  readonly basis: 'upper' | 'expected'
}

/**
 * JSON around the counted texts: braces, keys, roles. A message is at least 28 bytes of it and costs at most 5 tokens of
 * framing; a tool property at least 20 bytes and at most 5 tokens.
 */
const STRUCTURE_BYTES_PER_TOKEN = 4

/**
 * What a call can cost, before it is made: an upper bound that budgets hold and an expected value that rates draw. Runs
 * no tokenizer.
 */
export function estimate(
  ask: Ask,
  model: ModelPrice,
  limits: EstimateLimits,
  world: { readonly calibration: Calibration },
): Estimated | Refusal {
  const refusal = refuseUnbounded(ask, model, limits)
  if (refusal) return refusal
  const expectation = world.calibration.expectation(model)
  const input = byteBound(ask, model)
  const expected = Math.min(expectedInput(ask, model, expectation.tokensPerByte), input.tokens)
  const output = outputBound(ask, model, { allowedMax: limits.outputTokensMax, inputTokens: expected })
  return assemble(ask, model, {
    input: { expected, upper: input.tokens },
    output,
    outputExpected: Math.min(Math.ceil(expectation.outputTokens) * ask.choices, output.upper),
    method: input.method,
    nowMs: limits.nowMs,
  })
}

/**
 * A tighter estimate by counting the text exactly, or undefined when there is none: the encoding is not public, the count
 * is not to be had soon, or even an empty prompt would not fit what is short.
 */
export async function refine(
  facts: {
    readonly ask: Ask
    readonly price: ModelPrice
    readonly call: Pick<Call, 'startedAtMs'>
    /** The bound of the shortest answer that would do; without it the answer stays as long as it is. */
    readonly smallest?: Estimate
  },
  bound: Estimate,
  shortfalls: readonly Shortfall[],
  charges: readonly ShortCharge[],
  world: { readonly counter: TokenCounter },
): Promise<Estimated | undefined> {
  const { ask, price: model, smallest = bound } = facts
  const { encoding, certainty } = model.tokenizer
  if (bound.method !== 'bytes' || encoding === undefined || certainty === 'measured') return undefined
  const nowMs = facts.call.startedAtMs
  if (!couldFit(floorOf(ask, model, smallest, nowMs), bound, shortfalls, charges)) return undefined
  const texts = ask.texts()
  const counted = await world.counter.count(texts, encoding)
  if (counted === undefined) return undefined
  const upper = counted + structureTokens(ask, texts) + fixedTokens(ask, model)
  if (upper >= bound.inputTokens.upper) return undefined
  const refined = assemble(ask, model, {
    input: { expected: Math.min(bound.inputTokens.expected, upper), upper },
    output: {
      upper: bound.outputTokens.upper,
      perChoiceMax: bound.outputTokensMax,
      injected: bound.outputMaxInjected,
    },
    outputExpected: bound.outputTokens.expected,
    method: 'tokenizer',
    nowMs,
  })
  return refined.kind === 'estimated' ? refined : undefined
}

/** The least that exact counting could bring an estimate down to: no text at all, the output of the bound. */
export interface Floor {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: NanoUsd
}

export function floorOf(ask: Ask, model: ModelPrice, bound: Estimate, nowMs: number): Floor {
  const inputTokens = Math.min(fixedTokens(ask, model), bound.inputTokens.upper)
  const outputTokens = bound.outputTokens.upper
  const cost = boundCost(ask, model, { inputTokens, outputTokens, nowMs })
  return { inputTokens, outputTokens, cost: cost.kind === 'bounded' ? cost.nanoUsd : bound.cost.upper }
}

/** Whether every shortfall is one that less input could cure. Charges may be weighted, so the floor is a proportion. */
export function couldFit(
  floor: Floor,
  bound: Estimate,
  shortfalls: readonly Shortfall[],
  charges: readonly ShortCharge[],
): boolean {
  return shortfalls.every(({ index, state }) => {
    const charge = charges[index]
    if (charge === undefined || charge.basis !== 'upper') return false
    const share = shareOf(charge.unit, floor, bound)
    const room = BigInt(Math.max(0, Math.floor(state.limit - state.settled - state.held)))
    return share !== 'incurable' && BigInt(charge.amount) * share.least <= room * share.whole
  })
}

/** How much of a charge would be left without any text. */
interface Share {
  readonly least: bigint
  readonly whole: bigint
}

function shareOf(unit: Unit, floor: Floor, bound: Estimate): Share | 'incurable' {
  if (unit === 'usd') return { least: floor.cost, whole: bound.cost.upper }
  if (unit === 'input_tokens') return { least: BigInt(floor.inputTokens), whole: BigInt(bound.inputTokens.upper) }
  if (unit !== 'tokens') return 'incurable'
  return {
    least: BigInt(floor.inputTokens) + BigInt(floor.outputTokens),
    whole: BigInt(bound.inputTokens.upper) + BigInt(bound.outputTokens.upper),
  }
}

function structureTokens(ask: Ask, texts: readonly string[]): number {
  const textBytes = texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
  return Math.ceil(Math.max(0, ask.textBytes - textBytes) / STRUCTURE_BYTES_PER_TOKEN)
}
