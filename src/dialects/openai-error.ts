/**
 * Refusals in the shape of the OpenAI API: `{"error": {message, type, param, code}}` with the gateway's own members
 * beside the four; SDKs keep them as `err.error.*`.
 */
import type { RefusalContext, RenderedAnswer } from '../domain/dialect.ts'
import type { Refusal } from '../domain/refusal.ts'
import { refusalRow } from '../domain/refusal.ts'
import { refusalFacts, refusalHeaders } from './refusal-headers.ts'

export function renderOpenaiRefusal(refusal: Refusal, context: RefusalContext): RenderedAnswer {
  return {
    status: refusalRow(refusal.code).status,
    headers: refusalHeaders(refusal, context),
    body: JSON.stringify(errorBody(refusal, context.requestId)),
  }
}

/**
 * SDKs throw an `APIError` on a data frame with `error` and never retry it. The blank line in front ends whatever half
 * event a broken upstream left behind: glued to it, the frame would be an unknown line, and the break a clean end.
 */
export function openaiErrorFrame(refusal: Refusal, requestId: string): string {
  return `\n\ndata: ${JSON.stringify(errorBody(refusal, requestId))}\n\n`
}

function errorBody(refusal: Refusal, requestId: string): object {
  const { type, code } = refusalRow(refusal.code).openai
  return {
    error: {
      message: messageOf(refusal, type),
      type: type === 'requests' ? rateType(refusal) : type,
      param: refusal.field ?? (refusal.code === 'model_not_found' ? 'model' : null),
      code,
      ...refusalFacts(refusal, requestId),
    },
  }
}

/** Some clients stop retrying only when the message itself names the quota. */
function messageOf(refusal: Refusal, type: string): string {
  const { message } = refusal
  return type !== 'insufficient_quota' || message.includes(type) ? message : `${message} (${type})`
}

function rateType(refusal: Refusal): 'requests' | 'tokens' {
  return refusal.limit?.unit.endsWith('tokens') === true ? 'tokens' : 'requests'
}
