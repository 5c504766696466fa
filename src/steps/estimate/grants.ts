/**
 * The same call with a shorter answer: what it could cost for every maximum of output tokens that the ledger may grant.
 */
import type { Ask } from '../../domain/ask.ts'
import type { PlannedCharge } from '../../domain/ledger/charges.ts'
import { OUTPUT_TOKENS_FLOOR, type Estimate } from '../../domain/prices/estimate.ts'
import type { Fit } from '../../domain/ledger/fit.ts'
import { divideRoundingUp, minUsd, toNanoUsd } from '../../domain/prices/money.ts'
import type { ModelPrice } from '../../domain/prices/prices.ts'
import { boundCost } from './assemble.ts'

export interface Grants {
  /** Maximum of output tokens for one choice that the whole estimate stands for. */
  readonly asked: number
  /** The smallest maximum of use to the caller. */
  readonly least: number
  /** The estimate for a maximum from 0 to `asked`. */
  at(tokens: number): Estimate
}

/**
 * Undefined when no smaller maximum can be set: the provider would not take one beside the request's other fields, or it
 * would cut the answer off.
 *
 * A cost bound is the dearest of several rows, each of which grows evenly with the output, so it lies nowhere above the
 * straight line from its value without output to its value at the whole: that line is the bound of what is granted.
 */
export function grantsOf(ask: Ask, model: ModelPrice, whole: Estimate, nowMs: number): Grants | undefined {
  const asked = whole.outputTokensMax
  const least = Math.max(Math.min(OUTPUT_TOKENS_FLOOR, asked), ask.outputTokensLeast ?? 0)
  if (ask.predictedBytes !== undefined || least >= asked) return undefined
  const outputAt = (tokens: number) => whole.outputTokens.upper - (asked - tokens) * ask.choices
  const inputTokens = whole.inputTokens.upper
  const unanswered = boundCost(ask, model, { inputTokens, outputTokens: outputAt(0), nowMs })
  if (unanswered.kind === 'unpriced') return undefined
  const perToken = divideRoundingUp(whole.cost.upper - unanswered.nanoUsd, BigInt(asked))
  const at = (tokens: number): Estimate => {
    const upper = minUsd(whole.cost.upper, toNanoUsd(unanswered.nanoUsd + perToken * BigInt(tokens)))
    return {
      ...whole,
      outputTokens: {
        expected: Math.min(whole.outputTokens.expected, tokens * ask.choices),
        upper: outputAt(tokens),
      },
      cost: { expected: minUsd(whole.cost.expected, upper), upper },
      outputTokensMax: tokens,
      outputTokensAsked: asked,
    }
  }
  return { asked, least, at }
}

/** How the charges of the whole call shrink with its answer; `unanswered` are those of the same call without one. */
export function fitOf(
  charges: readonly PlannedCharge[],
  unanswered: readonly PlannedCharge[],
  grants: Pick<Grants, 'asked' | 'least'>,
  choices: number,
): Fit {
  const terms = charges.map((charge, index) => {
    const base = unanswered[index]?.amount ?? charge.amount
    const grows = charge.amount - base
    // An expected answer is as long as it is, and only cut by the maximum.
    const perToken =
      charge.basis === 'upper' ? Math.ceil(grows / grants.asked) : grows > 0 ? choices * (charge.weight ?? 1) : 0
    return { base, perToken, mayShorten: charge.fit === true }
  })
  return { asked: grants.asked, least: grants.least, terms }
}
