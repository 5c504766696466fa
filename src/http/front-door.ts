/**
 * Sends the calls that matter straight to their route and everything else to Express: a router that tries its layers one
 * after the other, and dresses every request in its own prototypes, costs as much as the limits that are enforced. Express
 * knows the same routes, so a path that is written another way (a query, a trailing slash) finds them, too.
 */
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

/** Answers a request, also when something fails; a rejection ends the connection. */
export type HotRoute = (request: IncomingMessage, response: ServerResponse) => Promise<void>

export function frontDoor(input: {
  /** POST routes by their exact path. */
  readonly hot: ReadonlyMap<string, HotRoute>
  /** What every answer gets first. */
  readonly prepare: (response: ServerResponse) => void
  readonly rest: RequestListener
}): RequestListener {
  const { hot, prepare, rest } = input
  return (request, response) => {
    const route = request.method === 'POST' ? hot.get(request.url ?? '') : undefined
    if (route === undefined) return rest(request, response)
    prepare(response)
    route(request, response).catch(() => response.destroy())
  }
}
