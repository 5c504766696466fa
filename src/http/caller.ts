import type { Request, RequestHandler, Response } from 'express'
import type { Family } from '../domain/ask.ts'
import type { Dialect } from '../domain/dialect.ts'
import type { Identity } from '../domain/identity.ts'
import { identify } from '../gateway.ts'
import type { World } from '../ports.ts'
import { writeRefusal } from './answer.ts'
import { readCall, readRefusalContext } from './request-context.ts'

/** The dialects by vendor, for routes that both vendors' clients call. */
export type Dialects = Readonly<Record<Family, Dialect>>

const MESSAGES_PATH = /\/messages(?:\/|$)/

/** Anthropic's clients always name an API version, and its paths tell it; everybody else is answered in OpenAI's shape. */
export function familyOf(request: Request): Family {
  const isAnthropic = request.headers['anthropic-version'] !== undefined || MESSAGES_PATH.test(request.path)
  return isAnthropic ? 'anthropic' : 'openai'
}

/** A route that only needs to know who is calling; a stranger is refused in the caller's dialect, and that is on record. */
export function known(
  endpoint: string,
  dialects: Dialects,
  world: World,
  answer: (input: { identity: Identity; request: Request; response: Response; family: Family }) => Promise<void> | void,
): RequestHandler {
  return async (request, response) => {
    const family = familyOf(request)
    const call = readCall(request, endpoint, world)
    const context = readRefusalContext(request, call.id)
    const caller = await identify(call, world)
    if (caller.kind === 'identified') {
      response.setHeader('x-request-id', call.id)
      response.setHeader('request-id', call.id)
      await answer({ identity: caller.identity, request, response, family })
      return
    }
    writeRefusal(response, caller.refusal, dialects[family], { ...context, receipt: caller.receipt })
  }
}
