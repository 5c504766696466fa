/**
 * Refusals as callers see them, read out of either vendor's shape, and their receipts.
 */
import { compactVerify, createLocalJWKSet } from 'jose'
import type { JSONWebKeySet } from 'jose'
import type { Family } from './provider.ts'

/** What both vendors' shapes say. */
export interface SeenRefusal {
  readonly status: number
  /** OpenAI `error.code`, Anthropic `error.type`. */
  readonly code: unknown
  readonly message: string
  readonly field: unknown
  readonly decisionId: unknown
}

/** Fails when the body is not the shape of the vendor. */
export async function readRefusal(response: Response, family: Family): Promise<SeenRefusal> {
  // The shape is checked member by member below.
  const body = (await response.json()) as { type?: unknown; request_id?: unknown; error: Record<string, unknown> }
  const { error } = body
  if (typeof error !== 'object' || typeof error['message'] !== 'string') throw new Error(JSON.stringify(body))
  if (family === 'anthropic' && (body.type !== 'error' || typeof body.request_id !== 'string' || 'code' in error)) {
    throw new Error(`not Anthropic's shape: ${JSON.stringify(body)}`)
  }
  if (family === 'openai' && (typeof error['type'] !== 'string' || !('param' in error))) {
    throw new Error(`not OpenAI's shape: ${JSON.stringify(body)}`)
  }
  return {
    status: response.status,
    code: family === 'openai' ? error['code'] : error['type'],
    message: error['message'],
    field: error['param'] ?? undefined,
    decisionId: error['decision_id'],
  }
}

/** The claims of a receipt, verified against the keys that the gateway publishes. */
export async function readReceipt(url: string, response: Response): Promise<Readonly<Record<string, unknown>>> {
  const receipt = response.headers.get('tollgate-receipt')
  if (receipt === null) throw new Error('the refusal has no receipt')
  // `createLocalJWKSet` refuses what is no key set.
  const keys = (await (await fetch(`${url}/.well-known/audit-jwks.json`)).json()) as JSONWebKeySet
  const { payload } = await compactVerify(receipt, createLocalJWKSet(keys))
  return JSON.parse(Buffer.from(payload).toString('utf8'))
}
