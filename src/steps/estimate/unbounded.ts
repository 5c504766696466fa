import type { Ask } from '../../domain/ask.ts'
import { isNeutralGeography } from '../../domain/prices/cost.ts'
import type { ModelPrice } from '../../domain/prices/prices.ts'
import { refuse, type Refusal } from '../../domain/refusal.ts'
import { unboundedTool } from '../../domain/prices/server-tools.ts'

/** What cannot be bounded is refused: it would be unlimited. */
export function refuseUnbounded(
  ask: Ask,
  model: ModelPrice,
  limits: { readonly outputTokensMax: number | undefined },
): Refusal | undefined {
  if (ask.otherModels.length > 0) {
    const message =
      'The request lets another model answer at its own price, which is not bounded here. Name one model only.'
    return refuse('invalid_request', message, { field: 'fallbacks', reason: 'other_models' })
  }
  const unbounded = unboundedTool(ask.serverTools)
  if (unbounded !== undefined) {
    const maximum = ask.family === 'openai' ? 'max_tool_calls' : 'max_uses'
    return refuse(
      'invalid_request',
      `A tool runs at the provider as often as it likes. Give it a maximum: ${maximum}.`,
      {
        field: 'tools',
        reason: 'server_tool_unbounded',
      },
    )
  }
  return (
    refuseUnpriced(ask, model) ??
    refuseOverAllowance(ask, limits.outputTokensMax) ??
    refuseOverModel(ask, model.outputMax)
  )
}

/** What is asked for by name and has no price would be billed at one that no bound covers. */
function refuseUnpriced(ask: Ask, model: ModelPrice): Refusal | undefined {
  const { serviceTier, geography } = ask
  if (geography !== undefined && !isNeutralGeography(geography) && !Object.hasOwn(model.geography, geography)) {
    const message = `The price table has no price for this geography of ${model.id}. Ask for another, or for none.`
    return refuse('price_unknown', message, { field: 'inference_geo', reason: 'price_geography_missing' })
  }
  if (serviceTier === undefined || isPricedTier(model, serviceTier)) return undefined
  const message = `The price table has no price for ${serviceTier} service of ${model.id}. Ask for another tier, or for none.`
  const field = serviceTier === 'fast' && ask.family === 'anthropic' ? 'speed' : 'service_tier'
  return refuse('price_unknown', message, { field, reason: `price_tier_missing: ${serviceTier}` })
}

/** Without words for its tiers a model may bill a request at any of its rows, and the bound is over all of them. */
function isPricedTier({ serviceTiers, rows }: ModelPrice, word: string): boolean {
  if (serviceTiers === undefined) return true
  const [first = word] = Object.hasOwn(serviceTiers.possible, word) ? (serviceTiers.possible[word] ?? []) : []
  return rows.some(({ tier }) => tier === first)
}

/** A provider may honour more than its documents say: what was not held is not let through. */
function refuseOverModel(ask: Ask, modelMax: number): Refusal | undefined {
  if (ask.outputTokensMax === undefined || ask.outputTokensMax <= modelMax) return undefined
  const field = fieldOf(ask)
  return refuse('invalid_request', `${field} is more than this model can give. Lower it to ${modelMax} or less.`, {
    field,
    reason: 'output_above_model',
  })
}

function fieldOf(ask: Ask): string {
  return ask.outputTokensField ?? (ask.family === 'openai' ? 'max_completion_tokens' : 'max_tokens')
}

function refuseOverAllowance(ask: Ask, allowedMax: number | undefined): Refusal | undefined {
  if (allowedMax === undefined || ask.outputTokensMax === undefined || ask.outputTokensMax <= allowedMax)
    return undefined
  return refuse('access_denied', `You may ask for at most ${String(allowedMax)} output tokens. Lower the maximum.`, {
    field: fieldOf(ask),
    reason: 'output_tokens_max',
  })
}
