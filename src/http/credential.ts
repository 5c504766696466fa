import type { IncomingHttpHeaders } from 'node:http'
import type { Credential } from '../domain/call.ts'

const BEARER = /^bearer +(\S+)$/i

/** An Authorization header of another scheme: no credential of ours, whatever else is sent. */
const MALFORMED = Symbol('malformed')

/**
 * The credential of a request: `Authorization: Bearer`, `x-api-key`, or both when they are equal. OpenAI clients send the
 * first, Anthropic clients either, Claude Code both.
 */
export function readCredential(headers: IncomingHttpHeaders): Credential {
  const key = headers['x-api-key']
  const fromKey = typeof key === 'string' && key !== '' ? key.trim() : undefined
  const fromAuthorization = readBearer(headers.authorization)
  if (fromAuthorization === MALFORMED) return { kind: 'missing' }
  if (fromKey !== undefined && fromAuthorization !== undefined && fromKey !== fromAuthorization) {
    return { kind: 'conflict' }
  }
  const token = fromAuthorization ?? fromKey
  return token === undefined ? { kind: 'missing' } : { kind: 'token', token }
}

function readBearer(header: string | undefined): string | typeof MALFORMED | undefined {
  if (header === undefined || header.trim() === '') return undefined
  return BEARER.exec(header.trim())?.[1] ?? MALFORMED
}
