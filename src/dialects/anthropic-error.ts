/**
 * Refusals in the shape of the Anthropic API: `{"type": "error", "error": {type, message, details}, "request_id"}` with
 * the gateway's own members inside `error`.
 */
import type { RefusalContext, RenderedAnswer } from '../domain/dialect.ts'
import type { Refusal } from '../domain/refusal.ts'
import { refusalRow } from '../domain/refusal.ts'
import { refusalFacts, refusalHeaders } from './refusal-headers.ts'

export function renderAnthropicRefusal(refusal: Refusal, context: RefusalContext): RenderedAnswer {
  return {
    status: refusalRow(refusal.code).status,
    headers: refusalHeaders(refusal, context),
    body: JSON.stringify(errorBody(refusal, context.requestId)),
  }
}

/**
 * Clients read a frame of this format only when it is named in its `event:` line. The blank line in front ends whatever
 * half event a broken upstream left behind, so that the name stands on a line of its own.
 */
export function anthropicErrorFrame(refusal: Refusal, requestId: string): string {
  return `\n\nevent: error\ndata: ${JSON.stringify(errorBody(refusal, requestId))}\n\n`
}

function errorBody(refusal: Refusal, requestId: string): object {
  const { type, errorCode } = refusalRow(refusal.code).anthropic
  return {
    type: 'error',
    error: {
      type,
      message: messageOf(refusal),
      ...(errorCode === undefined ? {} : { details: { error_code: errorCode } }),
      ...(refusal.field === undefined ? {} : { param: refusal.field }),
      ...refusalFacts(refusal, requestId),
    },
    request_id: requestId,
  }
}

/** The vendor's own wording in front: clients match it. */
function messageOf(refusal: Refusal): string {
  const { code, message } = refusal
  if (code === 'budget_exhausted' || code === 'never_fits') return prefixed('spend limit reached', message)
  return code === 'model_not_found' ? prefixed('model', message) : message
}

function prefixed(words: string, message: string): string {
  return message.startsWith(words) ? message : `${words}: ${message}`
}
