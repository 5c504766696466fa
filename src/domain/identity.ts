/**
 * Who is calling, as the verified token says. Nothing here may come from a body, a tag or an unverified header, but for the
 * run that a caller names: that is a label, which is counted by and never tested.
 */

/** Dimensions that hold one value. */
export const SINGLE_DIMENSIONS = [
  'tenant',
  'team',
  'user',
  'agent',
  'client',
  'tier',
  'lane',
  'classification',
  'residency',
  'run',
  'issuer',
  'ip',
] as const

/** Dimensions that hold a list of values. */
export const LIST_DIMENSIONS = ['role', 'group'] as const

export type SingleDimension = (typeof SINGLE_DIMENSIONS)[number]
export type ListDimension = (typeof LIST_DIMENSIONS)[number]
export type IdentityDimension = SingleDimension | ListDimension

/** A verified caller. A dimension that the token did not give is absent from `single`, or an empty list. */
export interface Identity {
  readonly single: Readonly<Partial<Record<SingleDimension, string>>>
  readonly list: Readonly<Record<ListDimension, readonly string[]>>
  /** The run that the caller says this call belongs to, when its issuer allows that: the token's own run or a child of it. */
  readonly namedRun?: string
  /** Name of the configured issuer that vouches for this caller. */
  readonly issuer: string
  /** The token's own `sub`, as it was before mapping; never logged, only pseudonymised. */
  readonly subject: string
  /** The token's `jti` when it had one; revocation is by issuer and this id. */
  readonly tokenId?: string
  /** Key id that verified the token. */
  readonly keyId?: string
  /** Epoch milliseconds after which this identity must not be used. */
  readonly expiresAtMs: number
  /** Actor chain of RFC 8693 (`act`), outermost first; only the outermost decides, all are recorded. */
  readonly actors: readonly string[]
}

/** Longest value of one dimension, in UTF-16 units: longer ones are refused at mapping, not cut. */
export const DIMENSION_VALUE_MAX = 256

/** Most values of one list dimension that a token may carry. */
export const DIMENSION_LIST_MAX = 500
