import type { Ask } from '../../domain/ask.ts'
import { costOf, possibleTiers, upperCost, type BoundedCost, type Unpriced } from '../../domain/prices/cost.ts'
import type { Estimate, InputMethod, OutputBound, Range } from '../../domain/prices/estimate.ts'
import type { NanoUsd } from '../../domain/prices/money.ts'
import type { ModelPrice } from '../../domain/prices/prices.ts'
import { refuse, type Refusal } from '../../domain/refusal.ts'
import { callsOf } from '../../domain/prices/server-tools.ts'

export type Estimated = Estimate & { readonly kind: 'estimated' }

/** A call may be priced this long after its estimate; every row that comes into force by then counts. Above any timeout. */
const PRICED_WITHIN_MS = 3_600_000

/** The tokens of an estimate, before they are priced. */
export interface Parts {
  readonly input: Range
  readonly output: OutputBound
  readonly outputExpected: number
  readonly method: InputMethod
  readonly nowMs: number
}

/** Prices the tokens of an estimate. */
export function assemble(ask: Ask, model: ModelPrice, parts: Parts): Estimated | Refusal {
  const { input, output, outputExpected, nowMs } = parts
  const upper = boundCost(ask, model, { inputTokens: input.upper, outputTokens: output.upper, nowMs })
  if (upper.kind === 'unpriced') return priceUnknown(model, upper)
  const expected = expectedCost(ask, model, { inputTokens: input.expected, outputTokens: outputExpected, nowMs })
  return {
    kind: 'estimated',
    inputTokens: input,
    outputTokens: { expected: outputExpected, upper: output.upper },
    cost: {
      expected: expected === undefined || expected > upper.nanoUsd ? upper.nanoUsd : expected,
      upper: upper.nanoUsd,
    },
    method: parts.method,
    outputTokensMax: output.perChoiceMax,
    outputMaxInjected: output.injected,
  }
}

/** Tokens at an instant. */
export interface Tokens {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly nowMs: number
}

/** The most these tokens can cost, with every server tool call the request allows. */
export function boundCost(ask: Ask, model: ModelPrice, tokens: Tokens): BoundedCost {
  const calls = callsOf(ask.serverTools)
  if (calls.kind === 'unknown') return { kind: 'unpriced', fault: 'price_meter_missing', detail: calls.tool }
  return upperCost(model, {
    inputTokens: tokens.inputTokens,
    outputTokens: tokens.outputTokens,
    serviceTier: ask.serviceTier,
    longCacheWrites: ask.longCacheWrites,
    calls: calls.calls,
    atMs: tokens.nowMs,
    timeoutMs: PRICED_WITHIN_MS,
  })
}

/** At the tier the request most likely gets; undefined when that tier has no price for it. */
function expectedCost(ask: Ask, model: ModelPrice, tokens: Tokens): NanoUsd | undefined {
  const [tier] = possibleTiers(model, ask.serviceTier)
  const { inputTokens, outputTokens } = tokens
  const quantities = { input: inputTokens, output: outputTokens }
  const usage = { quantities, inputTokens, outputTokens, consistent: true, ...(tier === undefined ? {} : { tier }) }
  const priced = costOf(model, usage, tokens.nowMs)
  return priced.kind === 'priced' ? priced.nanoUsd : undefined
}

function priceUnknown(model: ModelPrice, unpriced: Unpriced): Refusal {
  return refuse(
    'price_unknown',
    `The price table has no price for ${unpriced.detail} of ${model.id}. Ask your administrator to add it to pricing/.`,
    { reason: `${unpriced.fault}: ${unpriced.detail}` },
  )
}
