import type { Ask } from '../../domain/ask.ts'
import { refuse, type Refusal } from '../../domain/refusal.ts'
import { unboundedTool } from '../../domain/server-tools.ts'

/** What cannot be bounded is refused: it would be unlimited. */
export function refuseUnbounded(
  ask: Ask,
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
  return refuseOverAllowance(ask, limits.outputTokensMax)
}

function refuseOverAllowance(ask: Ask, allowedMax: number | undefined): Refusal | undefined {
  if (allowedMax === undefined || ask.outputTokensMax === undefined || ask.outputTokensMax <= allowedMax)
    return undefined
  return refuse('access_denied', `You may ask for at most ${String(allowedMax)} output tokens. Lower the maximum.`, {
    field: ask.family === 'openai' ? 'max_completion_tokens' : 'max_tokens',
    reason: 'output_tokens_max',
  })
}
