import type { ErrorRequestHandler, RequestHandler } from 'express'
import { refuse } from '../domain/refusal.ts'
import type { Events, Ids } from '../ports.ts'
import { writeRefusal } from './answer.ts'
import { familyOf } from './caller.ts'
import type { Dialects } from './caller.ts'
import { readRefusalContext } from './request-context.ts'

/** Any other route: refused, because a route exists only with a way to know what it costs. */
export function unknownRoute(dialects: Dialects, world: { readonly ids: Ids }): RequestHandler {
  return (request, response) => {
    const refusal = refuse('route_not_found', `There is no route ${request.method} ${request.path} on this gateway.`)
    const context = { ...readRefusalContext(request, world.ids.next()), receipt: undefined }
    writeRefusal(response, refusal, dialects[familyOf(request)], context)
  }
}

/** A known path with another method. */
export function wrongMethod(allowed: string, dialects: Dialects, world: { readonly ids: Ids }): RequestHandler {
  return (request, response) => {
    const refusal = refuse('method_not_allowed', `${request.path} takes ${allowed}, not ${request.method}.`)
    const context = { ...readRefusalContext(request, world.ids.next()), receipt: undefined }
    writeRefusal(response, refusal, dialects[familyOf(request)], context, { allow: allowed })
  }
}

/** A fault of our own on any route: logged, and answered without a word of detail. */
export function failure(
  dialects: Dialects,
  world: { readonly ids: Ids; readonly events: Events },
): ErrorRequestHandler {
  // Express tells an error handler by its four parameters.
  return (error: unknown, request, response, _next) => {
    world.events.unexpected(request.path, error)
    const refusal = refuse('internal', 'The gateway failed on this request.')
    const context = { ...readRefusalContext(request, world.ids.next()), receipt: undefined }
    writeRefusal(response, refusal, dialects[familyOf(request)], context)
  }
}
