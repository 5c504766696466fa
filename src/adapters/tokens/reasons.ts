/** Why a token is not accepted: a closed set, so that records and metrics stay countable. */
import type { ClaimPlace } from '../../domain/claims.ts'
import { LIST_DIMENSIONS, SINGLE_DIMENSIONS } from '../../domain/identity.ts'
import type { TokenRejected } from '../../ports.ts'

/** Claims that cannot be read: the mapped dimensions, the actors, and the two that identify the token. */
const CLAIM_REASONS = [...SINGLE_DIMENSIONS, ...LIST_DIMENSIONS, 'act' as const, 'sub' as const, 'jti' as const].map(
  claimReason,
)

export const TOKEN_REASONS = [
  'alg_not_allowed',
  'ambiguous_issuer',
  'audience_malformed',
  'bad_signature',
  'crit_not_supported',
  'duplicate_claim',
  'expired',
  'header_carries_key',
  'id_token',
  'issued_in_future',
  'keys_unavailable',
  'kid_malformed',
  'kid_missing',
  'lifetime_too_long',
  'malformed',
  'missing_claim',
  'not_yet_valid',
  'time_malformed',
  'too_long',
  'too_many_audiences',
  'type_not_allowed',
  'unknown_issuer',
  'unknown_kid',
  'wrong_audience',
  ...CLAIM_REASONS,
] as const

export type TokenReason = (typeof TOKEN_REASONS)[number]

export function claimReason<P extends ClaimPlace | 'sub' | 'jti'>(place: P): `claim_${P}_malformed` {
  return `claim_${place}_malformed`
}

/** The caller learns only what it can act on: fetch a new token, or ask for one that is meant for this gateway. */
export function rejected(reason: TokenReason, issuer?: string): TokenRejected {
  return { kind: 'rejected', public: publicReason(reason), reason, issuer }
}

function publicReason(reason: TokenReason): TokenRejected['public'] {
  return reason === 'expired' || reason === 'wrong_audience' ? reason : 'not_accepted'
}
