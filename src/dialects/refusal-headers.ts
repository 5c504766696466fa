/**
 * Headers of a refusal: ids, receipt and retry advice, the same in every dialect.
 */
import type { RefusalContext } from '../domain/dialect.ts'
import type { Refusal } from '../domain/refusal.ts'
import { refusalRow } from '../domain/refusal.ts'

/** Longer waits are not advised: SDKs differ wildly above it (ignore it, or sleep for an hour). */
const RETRY_AFTER_MAX_MS = 60_000

/** What "soon" means when the refusal does not know better: calls in flight settle within seconds. */
const RETRY_SOON_MS = 1000

export function refusalHeaders(refusal: Refusal, context: RefusalContext): Record<string, string> {
  const { status } = refusalRow(refusal.code)
  return {
    'content-type': 'application/json',
    'x-request-id': context.requestId,
    'request-id': context.requestId,
    ...retryHeaders(refusal, context),
    ...(status === 401 ? { 'www-authenticate': 'Bearer error="invalid_token"' } : {}),
    ...(context.receipt === undefined ? {} : { 'tollgate-receipt': context.receipt }),
  }
}

function retryHeaders(refusal: Refusal, context: RefusalContext): Record<string, string> {
  if (refusal.code === 'token_expired') return { 'x-should-retry': String(mayFetchNewToken(context)) }
  const waitMs = retryAfterMs(refusal)
  if (waitMs === undefined) return { 'x-should-retry': 'false' }
  return { 'retry-after-ms': String(waitMs), 'retry-after': String(Math.max(1, Math.ceil(waitMs / 1000))) }
}

/**
 * An SDK whose key is a function asks it again on a retry and then succeeds; once is enough to find out. Claude Code runs
 * its own key helper on any 401.
 */
function mayFetchNewToken({ retryCount, isClaudeCode }: RefusalContext): boolean {
  return retryCount === 0 && !isClaudeCode
}

/** The wait to advise, at least 1 ms because some SDKs read 0 as "no advice"; undefined when a retry is in vain. */
function retryAfterMs(refusal: Refusal): number | undefined {
  const { retry } = refusalRow(refusal.code)
  if (retry === 'never') return undefined
  const waitMs = refusal.retryAfterMs ?? (retry === 'soon' ? RETRY_SOON_MS : undefined)
  if (waitMs === undefined || waitMs > RETRY_AFTER_MAX_MS) return undefined
  return Math.max(1, Math.ceil(waitMs))
}

/** What the error object says beside the vendor's own members: the caller's own limit, and the record's id. */
export function refusalFacts(refusal: Refusal, requestId: string): Record<string, string> {
  const { limit } = refusal
  return {
    ...(limit && {
      rule: limit.rule,
      dimension: limit.dimension,
      subject: limit.subject,
      limit: limit.limit,
      used: limit.used,
      held: limit.held,
      needed: limit.needed,
      unit: limit.unit,
    }),
    ...(limit?.resetsAt === undefined ? {} : { resets_at: limit.resetsAt }),
    decision_id: requestId,
  }
}
