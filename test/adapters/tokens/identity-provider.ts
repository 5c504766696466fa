/** An identity provider with real keys: signs whatever a test says, also what no honest issuer would. */
import { createHmac, createPublicKey, generateKeyPairSync, sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import type { IssuerRule } from '../../../src/domain/policy/policy.ts'
import type { Clock, TokenVerdict } from '../../../src/ports.ts'

export const NOW_MS = 1_800_000_000_000
export const NOW_S = NOW_MS / 1_000
export const ISSUER = 'https://idp.example/realms/agents'
export const AUDIENCE = 'llm-gateway'

export class FixedClock implements Clock {
  ms = NOW_MS

  nowMs(): number {
    return this.ms
  }

  advance(ms: number): void {
    this.ms += ms
  }
}

export type Algorithm = 'RS256' | 'ES256' | 'EdDSA'

export interface SigningKey {
  readonly alg: Algorithm
  readonly kid: string | undefined
  readonly privateKey: KeyObject
  readonly publicJwk: Record<string, unknown>
}

export function makeKey(alg: Algorithm, kid?: string): SigningKey {
  const { privateKey, publicKey } =
    alg === 'RS256'
      ? generateKeyPairSync('rsa', { modulusLength: 2_048 })
      : alg === 'ES256'
        ? generateKeyPairSync('ec', { namedCurve: 'P-256' })
        : generateKeyPairSync('ed25519')
  const publicJwk = { ...publicKey.export({ format: 'jwk' }), ...(kid !== undefined && { kid }), use: 'sig' }
  return { alg, kid, privateKey, publicJwk }
}

export const base64url = (text: string | Uint8Array) => Buffer.from(text).toString('base64url')

type Members = Record<string, unknown>

export function headerOf(key: SigningKey, more: Members = {}): Members {
  return { alg: key.alg, typ: 'at+jwt', kid: key.kid, ...more }
}

export function payloadOf(more: Members = {}): Members {
  return { iss: ISSUER, aud: AUDIENCE, sub: 'ada', iat: NOW_S, exp: NOW_S + 600, ...more }
}

/** A token over any two texts. */
export function signTexts(key: SigningKey, header: string | Uint8Array, payload: string | Uint8Array): string {
  const input = `${base64url(header)}.${base64url(payload)}`
  return `${input}.${signatureOf(key, input)}`
}

export function signToken(key: SigningKey, payload: Members = {}, header: Members = {}): string {
  return signTexts(key, JSON.stringify(headerOf(key, header)), JSON.stringify(payloadOf(payload)))
}

function signatureOf({ alg, privateKey }: SigningKey, input: string): string {
  if (alg === 'ES256')
    return base64url(sign('sha256', Buffer.from(input), { key: privateKey, dsaEncoding: 'ieee-p1363' }))
  return base64url(sign(alg === 'EdDSA' ? null : 'sha256', Buffer.from(input), privateKey))
}

/** The classic attack: the published key as the secret of an HMAC. */
export function signWithHmac(secret: string, header: Members, payload: Members): string {
  const input = `${base64url(JSON.stringify(header))}.${base64url(JSON.stringify(payload))}`
  return `${input}.${createHmac('sha256', secret).update(input).digest('base64url')}`
}

export function publicPem({ privateKey }: SigningKey): string {
  return createPublicKey(privateKey).export({ type: 'spki', format: 'pem' }).toString()
}

export function jwks(...keys: readonly (SigningKey | Members)[]): string {
  return JSON.stringify({ keys: keys.map((key) => ('publicJwk' in key ? key.publicJwk : key)) })
}

export function ruleOf(more: Partial<IssuerRule> = {}): IssuerRule {
  return {
    name: 'agents',
    issuer: ISSUER,
    keys: { kind: 'url', url: 'https://idp.example/certs' },
    audiences: [AUDIENCE],
    algorithms: ['RS256', 'ES256', 'EdDSA'],
    types: ['at+jwt', 'jwt'],
    lifetimeMaxMs: 24 * 3_600_000,
    requireTokenId: false,
    runHeader: false,
    map: { user: { from: { kind: 'claim', name: 'sub' }, prefix: '', default: undefined } },
    ...more,
  }
}

/** `verified`, or the reason. */
export async function outcome(verdict: Promise<TokenVerdict>): Promise<string> {
  const settled = await verdict
  return settled.kind === 'verified' ? 'verified' : settled.reason
}
