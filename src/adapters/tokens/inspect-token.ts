import { readCompactToken } from './compact-token.ts'

/** What a token says, verified by nobody. */
export interface InspectedToken {
  readonly header: Readonly<Record<string, unknown>>
  readonly payload: Readonly<Record<string, unknown>>
}

/**
 * Header and claims of a token for a person to read, or undefined when the gateway would not read it either. The signature
 * is left out: without it the output is no credential.
 */
export function inspectToken(token: string): InspectedToken | undefined {
  const read = readCompactToken(token.trim())
  return read.kind === 'token' ? { header: read.header, payload: read.payload } : undefined
}
