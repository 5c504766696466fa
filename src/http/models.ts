import type { RequestHandler, Response } from 'express'
import { modelsFor } from '../domain/policy/access.ts'
import type { Family } from '../domain/ask.ts'
import { refuse } from '../domain/refusal.ts'
import type { World } from '../ports.ts'
import { writeRefusal } from './answer.ts'
import { known } from './caller.ts'
import type { Dialects } from './caller.ts'

/** Models are names of the policy set; they have no date of their own, so both vendors' shapes give the epoch. */
const CREATED = 0

/** GET /v1/models: the names this caller may use, in the shape of its vendor. */
export function listModels(dialects: Dialects, world: World): RequestHandler {
  return known('/v1/models', dialects, world, ({ identity, response, family }) => {
    const data = modelsFor(world.rules.policy(), identity, family).map((id) => describe(id, family))
    response.json(family === 'openai' ? { object: 'list', data } : page(data))
  })
}

function page(data: readonly { readonly id: string }[]): object {
  return { data, has_more: false, first_id: data[0]?.id ?? null, last_id: data.at(-1)?.id ?? null }
}

/** GET /v1/models/{id}. */
export function getModel(dialects: Dialects, world: World): RequestHandler {
  return known('/v1/models/{id}', dialects, world, ({ identity, request, response, family }) => {
    const id = String(request.params['id'] ?? '')
    if (modelsFor(world.rules.policy(), identity, family).includes(id)) {
      response.json(describe(id, family))
      return
    }
    notFound(response, dialects, family)
  })
}

function notFound(response: Response, dialects: Dialects, family: Family): void {
  const refusal = refuse('model_not_found', 'The model does not exist or you do not have access to it.', {
    field: 'model',
  })
  const requestId = String(response.getHeader('x-request-id') ?? '')
  const context = { requestId, receipt: undefined, retryCount: 0, isClaudeCode: false }
  writeRefusal(response, refusal, dialects[family], context)
}

function describe(id: string, family: Family) {
  return family === 'openai'
    ? { id, object: 'model', created: CREATED, owned_by: 'tollgate' }
    : { type: 'model', id, display_name: id, created_at: '1970-01-01T00:00:00Z' }
}
