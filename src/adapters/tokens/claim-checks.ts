/** What an issuer's rule demands of a payload once its signature, issuer and audience are known to be good. */
import { textFault } from '../../domain/claims.ts'
import type { IssuerRule } from '../../domain/policy/policy.ts'
import type { TokenReason } from './reasons.ts'
import { claimReason } from './reasons.ts'

/** How far the clocks of two well-kept machines may differ. */
const CLOCK_TOLERANCE_S = 30

/** A token for more services than these was not made for us. */
const AUDIENCES_MAX = 10

type Members = Readonly<Record<string, unknown>>

/** The built-in issuer and this gateway read one clock, so its tokens end when they say. */
export function clockToleranceS(rule: IssuerRule): number {
  return rule.keys.kind === 'builtin' ? 0 : CLOCK_TOLERANCE_S
}

/** What the checks leave behind, for the identity. */
export interface CheckedClaims {
  readonly kind: 'checked'
  readonly subject: string
  readonly tokenId: string | undefined
  readonly expiresAtMs: number
}

export function checkClaims(
  rule: IssuerRule,
  payload: Members,
  nowMs: number,
): CheckedClaims | { readonly kind: 'fault'; readonly reason: TokenReason } {
  const { sub, jti, exp, iat, nbf, aud } = payload
  const reason = audienceFault(aud)
  if (reason !== undefined) return { kind: 'fault', reason }
  if (!isSeconds(exp) || !isSeconds(iat) || (nbf !== undefined && !isSeconds(nbf)) || exp <= iat) {
    return { kind: 'fault', reason: 'time_malformed' }
  }
  if (iat * 1_000 > nowMs + CLOCK_TOLERANCE_S * 1_000) return { kind: 'fault', reason: 'issued_in_future' }
  if ((exp - iat) * 1_000 > rule.lifetimeMaxMs) return { kind: 'fault', reason: 'lifetime_too_long' }
  if (typeof sub !== 'string' || textFault(sub) !== undefined) return { kind: 'fault', reason: claimReason('sub') }
  if (jti === undefined) {
    if (rule.requireTokenId) return { kind: 'fault', reason: 'missing_claim' }
    return { kind: 'checked', subject: sub, tokenId: undefined, expiresAtMs: exp * 1_000 }
  }
  if (typeof jti !== 'string' || textFault(jti) !== undefined) return { kind: 'fault', reason: claimReason('jti') }
  return { kind: 'checked', subject: sub, tokenId: jti, expiresAtMs: exp * 1_000 }
}

function audienceFault(aud: unknown): TokenReason | undefined {
  if (!Array.isArray(aud)) return undefined
  if (aud.length > AUDIENCES_MAX) return 'too_many_audiences'
  return aud.every((audience) => typeof audience === 'string') ? undefined : 'audience_malformed'
}

/** Whole seconds since 1970: a fraction or 1e308 passes as a JSON number and breaks every sum made with it. */
function isSeconds(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}
