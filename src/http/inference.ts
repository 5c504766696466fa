import type { Dialect } from '../domain/dialect.ts'
import { refuse } from '../domain/refusal.ts'
import { handle } from '../gateway.ts'
import type { World } from '../ports.ts'
import { writeOutcome, writeRefusal } from './answer.ts'
import type { HotRoute } from './front-door.ts'
import { callerGone, readCall, readRefusalContext } from './request-context.ts'

/** One inference route: reads the call, hands it to the gateway, writes what comes back. */
export function inference(endpoint: string, dialect: Dialect, world: World): HotRoute {
  return async (request, response) => {
    const call = readCall(request, endpoint, world)
    const context = readRefusalContext(request, call.id)
    try {
      const outcome = await handle(call, dialect, world, callerGone(response))
      await writeOutcome(response, outcome, dialect, context)
    } catch (error) {
      if (response.destroyed && !response.writableFinished) return
      world.events.unexpected(endpoint, error)
      const refusal = refuse('internal', 'The gateway failed on this call. Nothing more is known to be wrong with it.')
      writeRefusal(response, refusal, dialect, { ...context, receipt: undefined })
      if (!response.writableEnded) response.destroy()
    }
  }
}
