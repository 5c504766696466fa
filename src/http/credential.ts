import type { IncomingHttpHeaders } from 'node:http'
import type { Credential } from '../domain/call.ts'

const BEARER = /^bearer +(\S+)$/i

/** An Authorization header of another scheme: no credential of ours, whatever else is sent. */
const MALFORMED = Symbol('malformed')

/** What is read of a request: its headers as Node joins them, and as they came. */
interface Headers {
  readonly headers: IncomingHttpHeaders
  readonly rawHeaders: readonly string[]
}

/**
 * The credential of a request: `Authorization: Bearer`, `x-api-key`, or both when they are equal. OpenAI clients send the
 * first, Anthropic clients either, Claude Code both.
 */
export function readCredential({ headers, rawHeaders }: Headers): Credential {
  const key = headers['x-api-key']
  const fromKey = typeof key === 'string' && key !== '' ? key.trim() : undefined
  const fromAuthorization = readBearer(headers.authorization)
  if (fromAuthorization === MALFORMED) return { kind: 'missing' }
  if (fromKey !== undefined && fromAuthorization !== undefined && fromKey !== fromAuthorization) {
    return { kind: 'conflict' }
  }
  if (hasTwoAuthorizations(rawHeaders)) return { kind: 'conflict' }
  const token = fromAuthorization ?? fromKey
  return token === undefined ? { kind: 'missing' } : { kind: 'token', token }
}

/** Node keeps the first `Authorization` and drops the others, while a proxy before us may have looked at the last. */
function hasTwoAuthorizations(rawHeaders: readonly string[]): boolean {
  let count = 0
  for (let at = 0; at < rawHeaders.length; at += 2) {
    if (rawHeaders[at]?.toLowerCase() === 'authorization') count += 1
  }
  return count > 1
}

function readBearer(header: string | undefined): string | typeof MALFORMED | undefined {
  if (header === undefined || header.trim() === '') return undefined
  return BEARER.exec(header.trim())?.[1] ?? MALFORMED
}
