import type { ErrorRequestHandler, RequestHandler } from 'express'
import { refuse } from '../domain/refusal.ts'
import type { Ids } from '../ports.ts'
import type { Events } from '../ports/events.ts'
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
    const refusal = refuse('method_not_allowed', `This route takes ${allowed}, not ${request.method}.`)
    const context = { ...readRefusalContext(request, world.ids.next()), receipt: undefined }
    writeRefusal(response, refusal, dialects[familyOf(request)], context, { allow: allowed })
  }
}

const internal = refuse('internal', 'The gateway failed on this request.')

const undecodable = refuse('invalid_request', 'The path has a broken percent-encoding. Encode it as UTF-8.')

/** Express decodes path parameters and fails on those that are not percent-encoded UTF-8. */
function isUndecodable(error: unknown): boolean {
  return error instanceof URIError
}

/** A fault of our own on any route: logged, and answered without a word of detail. */
export function failure(
  dialects: Dialects,
  world: { readonly ids: Ids; readonly events: Events },
): ErrorRequestHandler {
  // Express tells an error handler by its four parameters.
  return (error: unknown, request, response, _next) => {
    const refusal = isUndecodable(error) ? undecodable : internal
    // Without the path, which is the caller's text.
    if (refusal === internal) world.events.unexpected('http', error)
    const context = { ...readRefusalContext(request, world.ids.next()), receipt: undefined }
    writeRefusal(response, refusal, dialects[familyOf(request)], context)
  }
}
