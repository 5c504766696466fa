import type { Ask } from '../../domain/ask.ts'
import { refuse, type Refusal } from '../../domain/refusal.ts'
import { unboundedTool } from '../../domain/server-tools.ts'

/** What cannot be bounded is refused: it would be unlimited. */
export function refuseUnbounded(
  ask: Ask,
  limits: { readonly outputTokensMax: number | undefined },
): Refusal | undefined {
  const [otherModel] = ask.otherModels
  if (otherModel !== undefined) {
    return refuse(
      'invalid_request',
      `${otherModel} may have another model answer, whose cost is not bounded. Remove it.`,
      {
        field: otherModel,
      },
    )
  }
  const unbounded = unboundedTool(ask.serverTools)
  if (unbounded !== undefined) {
    return refuse(
      'invalid_request',
      `The tool ${unbounded} runs at the provider as often as it likes. Give it a maximum (max_uses).`,
      { field: 'tools' },
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
