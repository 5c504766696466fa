/**
 * Signs tokens for development and for small installations without an identity provider. They are ordinary access tokens
 * (RFC 9068) and are verified like everybody's; only the key is at hand.
 */
import { createPublicKey, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { calculateJwkThumbprint, exportJWK, SignJWT } from 'jose'
import { BUILTIN_AUDIENCE, BUILTIN_ISSUER_URL, textFault } from '../../domain/claims.ts'
import { DIMENSION_LIST_MAX } from '../../domain/identity.ts'
import type { Clock } from '../../ports.ts'
import { openBuiltinKey } from './builtin-key.ts'
import { TOKEN_LENGTH_MAX } from './compact-token.ts'

/** Who the token is for. What is left out is not claimed, and a rule that needs it refuses. */
export interface TokenRequest {
  readonly tenant?: string
  readonly team?: string
  readonly user?: string
  readonly agent?: string
  readonly roles?: readonly string[]
  readonly classification?: string
  readonly tier?: string
  readonly lane?: string
  readonly ttlSeconds?: number
  /** Further claims by name. */
  readonly claims?: Readonly<Record<string, unknown>>
  /** `iss` and `aud` of the issuer rule that will verify the token. */
  readonly issuer?: string
  readonly audience?: string
}

export interface BuiltinIssuer {
  /** One signed token; rejects with {@link TokenRequestInvalid} when the request cannot become one. */
  issue(request: TokenRequest): Promise<string>
  jwks(): { readonly keys: readonly Record<string, unknown>[] }
}

/** The message names the field and the fix. */
export class TokenRequestInvalid extends Error {
  override readonly name = 'TokenRequestInvalid'
}

const TOKEN_TTL_DEFAULT_S = 3_600

/** A token cannot be called back by forgetting it: a month is the longest that a lost one may live. */
export const TOKEN_TTL_MAX_S = 30 * 24 * 3_600

const ALGORITHM = 'EdDSA'

export interface BuiltinIssuerOptions {
  /** Folder of the signing key; made when it is not there. */
  readonly dir: string
  /** The machine's own unless given. */
  readonly clock?: Clock
}

export async function openBuiltinIssuer({
  dir,
  clock = { nowMs: Date.now },
}: BuiltinIssuerOptions): Promise<BuiltinIssuer> {
  const key = await openBuiltinKey(dir)
  const publicJwk = await exportJWK(createPublicKey(key))
  const kid = await calculateJwkThumbprint(publicJwk)
  const published = { ...publicJwk, kid, use: 'sig', alg: ALGORITHM }
  return {
    issue: async (request) => sign({ key, kid, claims: claimsOf(request, clock.nowMs()) }),
    jwks: () => ({ keys: [published] }),
  }
}

interface Signing {
  readonly key: KeyObject
  readonly kid: string
  readonly claims: Readonly<Record<string, unknown>>
}

async function sign({ key, kid, claims }: Signing): Promise<string> {
  const token = await new SignJWT({ ...claims }).setProtectedHeader({ alg: ALGORITHM, typ: 'at+jwt', kid }).sign(key)
  if (token.length > TOKEN_LENGTH_MAX) {
    throw new TokenRequestInvalid(
      `the token would have ${token.length} characters; at most ${TOKEN_LENGTH_MAX} are accepted`,
    )
  }
  return token
}

/** What the issuer writes itself: a claim given by name must not change what the token is. */
const OWN_CLAIMS: ReadonlySet<string> = new Set(
  'iss aud sub iat exp jti tenant team agent roles data_classification tier lane __proto__'.split(' '),
)

function claimsOf(request: TokenRequest, nowMs: number): Record<string, unknown> {
  const { tenant, team, user, agent, roles, classification, tier, lane, claims = {} } = request
  for (const [name, value] of Object.entries({ tenant, team, user, agent, classification, tier, lane })) {
    if (value !== undefined) assertText(name, value)
  }
  for (const [index, role] of (roles ?? []).entries()) assertText(`roles[${index}]`, role)
  if (roles !== undefined && roles.length > DIMENSION_LIST_MAX) {
    throw new TokenRequestInvalid(`roles: ${roles.length} values; at most ${DIMENSION_LIST_MAX} are accepted`)
  }
  for (const name of Object.keys(claims)) {
    if (OWN_CLAIMS.has(name)) throw new TokenRequestInvalid(`claims.${name}: has an option of its own; use that`)
  }
  const named = { tenant, team, agent, roles, data_classification: classification, tier, lane }
  return { ...claims, ...withoutUndefined(named), ...registeredOf(request, nowMs) }
}

function registeredOf(request: TokenRequest, nowMs: number): Record<string, unknown> {
  const {
    user,
    agent,
    ttlSeconds = TOKEN_TTL_DEFAULT_S,
    issuer = BUILTIN_ISSUER_URL,
    audience = BUILTIN_AUDIENCE,
  } = request
  // RFC 9068 section 2.2: without a person, the subject is the client that acts for itself.
  const sub = user ?? agent
  if (sub === undefined)
    throw new TokenRequestInvalid('user: missing; a token needs a user, or an agent that acts for itself')
  if (!Number.isSafeInteger(ttlSeconds) || ttlSeconds < 1 || ttlSeconds > TOKEN_TTL_MAX_S) {
    throw new TokenRequestInvalid(`ttlSeconds: ${ttlSeconds}; whole seconds from 1 to ${TOKEN_TTL_MAX_S} are accepted`)
  }
  const iat = Math.floor(nowMs / 1_000)
  return { iss: issuer, aud: audience, sub, iat, exp: iat + ttlSeconds, jti: randomUUID() }
}

function assertText(field: string, value: string): void {
  const fault = textFault(value)
  if (fault !== undefined) throw new TokenRequestInvalid(`${field}: ${fault}`)
}

function withoutUndefined(members: Readonly<Record<string, unknown>>): Record<string, unknown> {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined))
}
