import { readCompactToken, TOKEN_LENGTH_MAX } from './compact-token.ts'

/** What a token says, verified by nobody. */
export type InspectedToken =
  | {
      readonly kind: 'decoded'
      readonly header: Readonly<Record<string, unknown>>
      readonly payload: Readonly<Record<string, unknown>>
    }
  | { readonly kind: 'not_a_token'; readonly problem: string }

const PROBLEMS = {
  too_long: `longer than ${TOKEN_LENGTH_MAX} characters; the gateway refuses it without looking`,
  malformed: 'not a JWT in compact form: header.payload.signature, each base64url, the first two JSON objects',
  duplicate_claim: 'one member stands twice in an object of its header or payload; the gateway refuses that',
} as const

/** Header and claims of a token for a person to read. The signature is left out: without it the output is no credential. */
export function inspectToken(token: string): InspectedToken {
  const read = readCompactToken(token.trim())
  if (read.kind === 'fault') return { kind: 'not_a_token', problem: PROBLEMS[read.reason] }
  return { kind: 'decoded', header: read.header, payload: read.payload }
}
