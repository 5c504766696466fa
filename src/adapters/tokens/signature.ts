/** Verifies a token under one issuer's rule and keys with jose, and names what was wrong in our own words. */
import { errors, jwtVerify } from 'jose'
import type { JWTVerifyOptions } from 'jose'
import type { IssuerRule } from '../../domain/policy/policy.ts'
import { clockToleranceS } from './claim-checks.ts'
import { algorithmsOf } from './header-checks.ts'
import type { KeySet } from './key-set.ts'
import type { TokenReason } from './reasons.ts'

export type Signature =
  | { readonly kind: 'good'; readonly payload: Readonly<Record<string, unknown>> }
  | { readonly kind: 'fault'; readonly reason: TokenReason }

/** Keys with one key id that are tried: a roll-over has two of them, and each try costs a signature. */
const CANDIDATES_MAX = 4

/** Without these a token cannot be attributed, or lives for ever; jose asks for `aud` and `iss` as soon as they are given. */
const REQUIRED_CLAIMS = ['iss', 'aud', 'exp', 'iat', 'sub']

export interface SignatureRequest {
  readonly token: string
  readonly rule: IssuerRule
  readonly keys: KeySet
  readonly keyId: string | undefined
  readonly nowMs: number
}

export async function verifySignature(request: SignatureRequest): Promise<Signature> {
  const { token, keys, keyId } = request
  const options = optionsOf(request)
  try {
    const { payload } = await jwtVerify(token, keys.find, options)
    return { kind: 'good', payload }
  } catch (error) {
    if (!(error instanceof errors.JWKSMultipleMatchingKeys)) return { kind: 'fault', reason: reasonOf(error) }
    // Without a key id nothing says which key was meant, and guessing would let one key stand in for another.
    if (keyId === undefined) return { kind: 'fault', reason: 'kid_missing' }
    return tryEach(token, error, options)
  }
}

async function tryEach(
  token: string,
  candidates: errors.JWKSMultipleMatchingKeys,
  options: JWTVerifyOptions,
): Promise<Signature> {
  let tried = 0
  for await (const key of candidates) {
    try {
      const { payload } = await jwtVerify(token, key, options)
      return { kind: 'good', payload }
    } catch (error) {
      const reason = reasonOf(error)
      if (reason !== 'bad_signature') return { kind: 'fault', reason }
    }
    tried += 1
    if (tried === CANDIDATES_MAX) break
  }
  return { kind: 'fault', reason: 'bad_signature' }
}

function optionsOf({ rule, nowMs }: SignatureRequest): JWTVerifyOptions {
  return {
    algorithms: algorithmsOf(rule),
    issuer: rule.issuer,
    audience: [...rule.audiences],
    requiredClaims: REQUIRED_CLAIMS,
    clockTolerance: clockToleranceS(rule),
    currentDate: new Date(nowMs),
  }
}

/** Whatever is not one of jose's findings about the token is a failure of ours and goes on as it is. */
function reasonOf(error: unknown): TokenReason {
  if (error instanceof errors.JWTExpired) return 'expired'
  if (error instanceof errors.JWTClaimValidationFailed) return claimFault(error)
  if (error instanceof errors.JWKSNoMatchingKey) return 'unknown_kid'
  if (error instanceof errors.JOSEAlgNotAllowed) return 'alg_not_allowed'
  if (error instanceof errors.JOSENotSupported) return 'crit_not_supported'
  if (error instanceof errors.JWSSignatureVerificationFailed) return 'bad_signature'
  if (error instanceof errors.JWSInvalid || error instanceof errors.JWTInvalid) return 'malformed'
  throw error
}

function claimFault({ claim, reason }: errors.JWTClaimValidationFailed): TokenReason {
  if (reason === 'missing') return 'missing_claim'
  if (claim === 'aud') return 'wrong_audience'
  if (claim === 'iss') return 'unknown_issuer'
  return claim === 'nbf' && reason === 'check_failed' ? 'not_yet_valid' : 'time_malformed'
}
