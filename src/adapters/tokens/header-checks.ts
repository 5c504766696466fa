/** What an issuer's rule demands of a token's header before any key is touched. */
import type { IssuerRule } from '../../domain/policy/policy.ts'
import { KEY_ID_LENGTH_MAX } from './key-set.ts'
import type { TokenReason } from './reasons.ts'

/**
 * Signatures whose verifying key is public. Symmetric algorithms and `none` are not among them, whatever a rule lists: a
 * published key must never be the secret of an HMAC (RFC 8725 section 2.1).
 */
const ASYMMETRIC_ALGORITHMS: ReadonlySet<string> = new Set([
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
])

/** Tokens that are signed by the same issuers and look alike, but are grants, proofs or messages (RFC 8725 section 3.11). */
const LOOK_ALIKE_TYPES: ReadonlySet<string> = new Set([
  'oauth-id-jag+jwt',
  'txntoken+jwt',
  'dpop+jwt',
  'logout+jwt',
  'token-introspection+jwt',
  'oauth-authz-req+jwt',
  'kb+jwt',
  'secevent+jwt',
])

/** A token that brings its own key, or says where to fetch one, marks an attempt (RFC 8725 section 3.10). */
const KEY_CARRYING_PARAMETERS = ['jku', 'x5u', 'x5c', 'jwk'] as const

type Members = Readonly<Record<string, unknown>>

export function algorithmsOf(rule: IssuerRule): string[] {
  return rule.algorithms.filter((algorithm) => ASYMMETRIC_ALGORITHMS.has(algorithm))
}

/** The first fault of a header under a rule, or undefined. */
export function headerFault(rule: IssuerRule, header: Members): TokenReason | undefined {
  const { alg, kid } = header
  if (KEY_CARRYING_PARAMETERS.some((name) => Object.hasOwn(header, name))) return 'header_carries_key'
  if (typeof alg !== 'string' || !algorithmsOf(rule).includes(alg)) return 'alg_not_allowed'
  if (!isTypeAllowed(rule, header)) return 'type_not_allowed'
  if (kid !== undefined && (typeof kid !== 'string' || kid === '' || kid.length > KEY_ID_LENGTH_MAX)) {
    return 'kid_malformed'
  }
  return undefined
}

/** RFC 7515 section 4.1.9: `typ` is compared without regard to case, and without `application/`. */
function isTypeAllowed(rule: IssuerRule, header: Members): boolean {
  const { typ } = header
  if (typ === undefined) return rule.types.includes('none')
  if (typeof typ !== 'string') return false
  const type = typ.toLowerCase().replace(/^application\//, '')
  // `none` in a rule stands for the absent header, so a token may not spell it.
  return type !== 'none' && !LOOK_ALIKE_TYPES.has(type) && rule.types.includes(type)
}

/** ID tokens speak to the client about a login and are not meant for an API; without a `typ` these claims tell them. */
export function isIdToken(header: Members, payload: Members): boolean {
  return header['typ'] === undefined && (payload['nonce'] !== undefined || payload['at_hash'] !== undefined)
}
