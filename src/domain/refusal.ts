/**
 * A refusal is a value with reasons, not an exception. This table is the one place that says how each cause is answered;
 * dialects turn a row into the caller's own error shape.
 */
import type { Unit } from './policy/policy.ts'

interface Row {
  readonly status: number
  /** OpenAI `error.type` and `error.code`. */
  readonly openai: { readonly type: string; readonly code: string }
  /** Anthropic `error.type`, with the error code in `details` that gives SDKs their typed class. */
  readonly anthropic: { readonly type: string; readonly errorCode?: string }
  /** Whether a client may try again: `never`, `soon` (short retry-after) or `timed` (the refusal knows when). */
  readonly retry: 'never' | 'soon' | 'timed'
}

const invalid = { type: 'invalid_request_error', code: 'invalid_request_error' } as const
const quota = { type: 'insufficient_quota', code: 'insufficient_quota' } as const
const billing = { type: 'billing_error', errorCode: 'enforced_spend_limit_reached' } as const
const rate = { type: 'requests', code: 'rate_limit_exceeded' } as const

const forbidden = (code: string): Row => ({
  status: 403,
  openai: { type: 'invalid_request_error', code },
  anthropic: { type: 'permission_error' },
  retry: 'never',
})

const away = (code: string): Row => ({
  status: 503,
  openai: { type: 'server_error', code },
  anthropic: { type: 'api_error' },
  retry: 'soon',
})

/** Every cause of a refusal, with how it is answered (design, section 6; shapes in the vendors' API references). */
export const REFUSALS = {
  unauthenticated: {
    status: 401,
    openai: { type: 'invalid_request_error', code: 'invalid_api_key' },
    anthropic: { type: 'authentication_error' },
    retry: 'never',
  },
  token_expired: {
    status: 401,
    openai: { type: 'invalid_request_error', code: 'token_expired' },
    anthropic: { type: 'authentication_error' },
    retry: 'never',
  },
  credentials_conflict: { status: 400, openai: invalid, anthropic: { type: 'invalid_request_error' }, retry: 'never' },
  identity_incomplete: forbidden('identity_incomplete'),
  access_denied: forbidden('access_denied'),
  classification_denied: forbidden('classification_denied'),
  price_unknown: forbidden('price_unknown'),
  model_not_found: {
    status: 404,
    openai: { type: 'invalid_request_error', code: 'model_not_found' },
    anthropic: { type: 'not_found_error' },
    retry: 'never',
  },
  route_not_found: {
    status: 404,
    openai: { type: 'invalid_request_error', code: 'unknown_url' },
    anthropic: { type: 'not_found_error' },
    retry: 'never',
  },
  method_not_allowed: {
    status: 405,
    openai: { type: 'invalid_request_error', code: 'method_not_allowed' },
    anthropic: { type: 'invalid_request_error' },
    retry: 'never',
  },
  invalid_request: { status: 400, openai: invalid, anthropic: { type: 'invalid_request_error' }, retry: 'never' },
  context_length_exceeded: {
    status: 400,
    openai: { type: 'invalid_request_error', code: 'context_length_exceeded' },
    anthropic: { type: 'invalid_request_error' },
    retry: 'never',
  },
  request_too_large: {
    status: 413,
    openai: { type: 'invalid_request_error', code: 'request_too_large' },
    anthropic: { type: 'request_too_large' },
    retry: 'never',
  },
  budget_exhausted: { status: 429, openai: quota, anthropic: billing, retry: 'never' },
  never_fits: { status: 429, openai: quota, anthropic: billing, retry: 'never' },
  budget_held: { status: 429, openai: rate, anthropic: { type: 'rate_limit_error' }, retry: 'soon' },
  rate_limited: { status: 429, openai: rate, anthropic: { type: 'rate_limit_error' }, retry: 'timed' },
  concurrency_limited: { status: 429, openai: rate, anthropic: { type: 'rate_limit_error' }, retry: 'soon' },
  upstream_unavailable: {
    status: 502,
    openai: { type: 'server_error', code: 'upstream_error' },
    anthropic: { type: 'api_error' },
    retry: 'never',
  },
  upstream_timeout: {
    status: 504,
    openai: { type: 'server_error', code: 'upstream_timeout' },
    anthropic: { type: 'timeout_error' },
    retry: 'never',
  },
  internal: {
    status: 500,
    openai: { type: 'server_error', code: 'internal_error' },
    anthropic: { type: 'api_error' },
    retry: 'never',
  },
  identity_unavailable: away('identity_unavailable'),
  ledger_unavailable: away('policy_unavailable'),
  audit_unavailable: away('audit_unavailable'),
  shutting_down: away('shutting_down'),
} as const satisfies Record<string, Row>

export type RefusalCode = keyof typeof REFUSALS

export function refusalRow(code: RefusalCode): Row {
  return REFUSALS[code]
}

/** Facts of the limit or budget that refused, in its own unit; money is decimal dollars. */
export interface RefusalLimit {
  readonly rule: string
  /** The rule's key, e.g. `tenant,team`. */
  readonly dimension: string
  /** The caller's own values of that key, e.g. `acme,research`. */
  readonly subject: string
  readonly unit: Unit
  readonly limit: string
  readonly used: string
  readonly held: string
  readonly needed: string
  /** RFC 3339 instant at which the window ends, when it does. */
  readonly resetsAt: string | undefined
}

export interface Refusal {
  readonly kind: 'refused'
  readonly code: RefusalCode
  /** One or two sentences for the caller: what was refused and what to do. Reveals only the caller's own facts. */
  readonly message: string
  /** Field of the request at fault (`param`), when one is. */
  readonly field: string | undefined
  /** Milliseconds after which a repeat can succeed; undefined when time alone will not help. */
  readonly retryAfterMs: number | undefined
  readonly limit: RefusalLimit | undefined
  /** The exact reason for the record, never shown to the caller; undefined when the code says it all. */
  readonly reason: string | undefined
  /** Codes or rules that would also have refused. */
  readonly also: readonly string[]
}

/** Builds a refusal; everything but code and message is optional. */
export function refuse(
  code: RefusalCode,
  message: string,
  details: Partial<Omit<Refusal, 'kind' | 'code' | 'message'>> = {},
): Refusal {
  return {
    kind: 'refused',
    code,
    message,
    field: details.field,
    retryAfterMs: details.retryAfterMs,
    limit: details.limit,
    reason: details.reason,
    also: details.also ?? [],
  }
}
