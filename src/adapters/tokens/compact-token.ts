/** A JWT in compact form (RFC 7515 section 7.1), read without trusting a word of it. */
import { hasDuplicateKeys } from './duplicate-keys.ts'

/**
 * Longest token that is looked at. All headers of a request share 16 KiB in Node's parser, and an access token with 200
 * groups, the most that Entra ID writes, fits.
 */
export const TOKEN_LENGTH_MAX = 8 * 1024

export interface CompactToken {
  readonly kind: 'token'
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

export interface NotAToken {
  readonly kind: 'fault'
  readonly reason: 'too_long' | 'malformed' | 'duplicate_claim'
}

/** The signature may be empty (`alg: none`): what that means is for the check of the algorithm to say. */
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.[A-Za-z0-9_-]*$/

export function readCompactToken(token: string): CompactToken | NotAToken {
  if (token.length > TOKEN_LENGTH_MAX) return { kind: 'fault', reason: 'too_long' }
  const parts = COMPACT.exec(token)
  const header = readPart(parts?.[1])
  const payload = readPart(parts?.[2])
  if (header.kind === 'fault') return header
  if (payload.kind === 'fault') return payload
  return { kind: 'token', header: header.members, payload: payload.members }
}

interface Part {
  readonly kind: 'part'
  readonly members: Readonly<Record<string, unknown>>
}

const MALFORMED: NotAToken = { kind: 'fault', reason: 'malformed' }

function readPart(part: string | undefined): Part | NotAToken {
  if (part === undefined) return MALFORMED
  let text: string
  let value: unknown
  try {
    text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url'))
    value = JSON.parse(text)
  } catch {
    return MALFORMED
  }
  if (!isMembers(value)) return MALFORMED
  return hasDuplicateKeys(text) ? { kind: 'fault', reason: 'duplicate_claim' } : { kind: 'part', members: value }
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
