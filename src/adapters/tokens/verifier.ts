/**
 * The port `TokenVerifier` over jose and key stores of our own.
 *
 * A token is matched to an issuer by its exact `iss`, and from then on only that issuer's rule and keys count: a key of one
 * issuer never vouches for another, even under the same key id. Verified tokens are cached by the hash of their text;
 * failures are not.
 */
import { hash } from 'node:crypto'
import { mapClaims } from '../../domain/claims.ts'
import type { Identity } from '../../domain/identity.ts'
import type { IssuerRule } from '../../domain/policy/policy.ts'
import type { Clock, TokenRejected, TokenVerdict, TokenVerifier } from '../../ports.ts'
import type { BuiltinIssuer } from './builtin-issuer.ts'
import { CACHE_LIFE_MAX_MS, VerdictCache } from './cache.ts'
import { checkClaims } from './claim-checks.ts'
import { readCompactToken, TOKEN_LENGTH_MAX } from './compact-token.ts'
import type { CompactToken } from './compact-token.ts'
import { headerFault, isIdToken } from './header-checks.ts'
import type { KeySet } from './key-set.ts'
import type { FetchDocument } from './key-source.ts'
import type { KeyStore, ReportKeyProblem } from './key-store.ts'
import { KeyStores } from './key-stores.ts'
import { claimReason, rejected } from './reasons.ts'
import type { TokenReason } from './reasons.ts'
import { verifySignature } from './signature.ts'

export interface TokenVerifierOptions {
  /** Issuers of the policy in force: the same list until the policy changes. */
  readonly issuers: () => readonly IssuerRule[]
  readonly clock: Clock
  /** Reads key sets by URL: what `createDocumentFetcher` of adapters/destinations answers. */
  readonly fetchDocument: FetchDocument
  readonly builtin?: BuiltinIssuer | undefined
  readonly report?: ReportKeyProblem
}

/** Age of the keys that are known of an issuer, for health and metrics. */
export interface KeyAge {
  readonly issuer: string
  /** Undefined when no keys are known. */
  readonly ageMs: number | undefined
}

export interface JoseTokenVerifier extends TokenVerifier {
  keyAges(): readonly KeyAge[]
  /** Verdicts kept, for tests of boundedness. */
  cached(): number
}

export function createTokenVerifier(options: TokenVerifierOptions): JoseTokenVerifier {
  return new Verifier(options)
}

/** A token that passed every check but is not cached yet. */
interface Verified {
  readonly kind: 'verified'
  readonly identity: Identity
  readonly store: KeyStore
  /** The keys that verified it. */
  readonly keys: KeySet
}

interface Attempt {
  readonly token: string
  readonly read: CompactToken
  readonly rule: IssuerRule
  readonly store: KeyStore
  readonly nowMs: number
}

interface SignedBy {
  readonly kind: 'good'
  readonly payload: CompactToken['payload']
  readonly keys: KeySet
}

interface Fault {
  readonly kind: 'fault'
  readonly reason: TokenReason
}

class Verifier implements JoseTokenVerifier {
  readonly #options: TokenVerifierOptions
  readonly #cache = new VerdictCache()
  readonly #stores: KeyStores
  /** The list that `#cache` and `#stores` stand for; replaced together with them by `#adopt`. */
  #issuers: readonly IssuerRule[] | undefined

  constructor(options: TokenVerifierOptions) {
    this.#options = options
    this.#stores = new KeyStores(options)
  }

  verify(token: string): Promise<TokenVerdict> {
    if (token.length > TOKEN_LENGTH_MAX) return Promise.resolve(rejected('too_long'))
    this.#adopt()
    const nowMs = this.#options.clock.nowMs()
    const digest = hash('sha256', token, 'base64')
    return this.#cache.get(digest, nowMs) ?? this.#verifyAndKeep(token, digest, nowMs)
  }

  builtinKeys(): { readonly keys: readonly Record<string, unknown>[] } {
    return this.#options.builtin?.jwks() ?? { keys: [] }
  }

  keyAges(): readonly KeyAge[] {
    this.#adopt()
    return this.#stores.ages()
  }

  cached(): number {
    return this.#cache.size
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#cache.clear()
  }

  #adopt(): void {
    const issuers = this.#options.issuers()
    if (issuers === this.#issuers) return
    this.#issuers = issuers
    this.#cache.clear()
    this.#stores.adopt(issuers)
  }

  async #verifyAndKeep(token: string, digest: string, nowMs: number): Promise<TokenVerdict> {
    const issuers = this.#issuers
    const verified = await this.#verify(token, nowMs)
    if (verified.kind === 'rejected') return verified
    const { identity, store, keys } = verified
    const verdict: TokenVerdict = { kind: 'verified', identity }
    const untilMs = Math.min(identity.expiresAtMs, nowMs + CACHE_LIFE_MAX_MS)
    // A policy that came into force meanwhile may map the same token to somebody else.
    if (untilMs > nowMs && issuers === this.#issuers) {
      this.#cache.put(digest, { verdict: Promise.resolve(verdict), untilMs, voucher: store, keys })
    }
    return verdict
  }

  async #verify(token: string, nowMs: number): Promise<Verified | TokenRejected> {
    const read = readCompactToken(token)
    if (read.kind === 'fault') return rejected(read.reason)
    const named = this.#stores.ofIssuer(read.payload['iss'])
    if (named === undefined) return rejected('unknown_issuer')
    if (named === 'ambiguous') return rejected('ambiguous_issuer')
    const { rule, store } = named
    const fault = headerFault(rule, read.header)
    if (fault !== undefined) return rejected(fault, rule.name)
    const signed = await this.#verifyWithKeys({ token, read, rule, store, nowMs })
    if (signed.kind === 'fault') return rejected(signed.reason, rule.name)
    const identified = toIdentity({ rule, header: read.header, payload: signed.payload, nowMs })
    if (identified.kind === 'fault') return rejected(identified.reason, rule.name)
    return { kind: 'verified', identity: identified.identity, store, keys: signed.keys }
  }

  /** Tries the known keys, and once more when the issuer has others by now. */
  async #verifyWithKeys(attempt: Attempt): Promise<SignedBy | Fault> {
    const { token, read, rule, store, nowMs } = attempt
    const { kid } = read.header
    const keyId = typeof kid === 'string' ? kid : undefined
    const known = await store.keys()
    if (known === undefined) return { kind: 'fault', reason: 'keys_unavailable' }
    const first = await verifySignature({ token, rule, keys: known, keyId, nowMs })
    if (first.kind === 'good') return { ...first, keys: known }
    const newer = first.reason === 'unknown_kid' ? await store.keysOtherThan(known) : undefined
    if (newer === undefined) return first
    const second = await verifySignature({ token, rule, keys: newer, keyId, nowMs })
    return second.kind === 'good' ? { ...second, keys: newer } : second
  }
}

interface Identification {
  readonly rule: IssuerRule
  readonly header: CompactToken['header']
  /** Verified. */
  readonly payload: CompactToken['payload']
  readonly nowMs: number
}

function toIdentity(from: Identification): { readonly kind: 'identity'; readonly identity: Identity } | Fault {
  const { rule, header, payload, nowMs } = from
  if (isIdToken(header, payload)) return { kind: 'fault', reason: 'id_token' }
  const claims = checkClaims(rule, payload, nowMs)
  if (claims.kind === 'fault') return claims
  const mapped = mapClaims(rule, payload)
  if (mapped.kind === 'fault') return { kind: 'fault', reason: claimReason(mapped.dimension) }
  const { single, list, actors } = mapped
  const { subject, tokenId, expiresAtMs } = claims
  const { kid } = header
  const identity: Identity = {
    single,
    list,
    issuer: rule.name,
    subject,
    ...(tokenId === undefined ? {} : { tokenId }),
    ...(typeof kid === 'string' ? { keyId: kid } : {}),
    expiresAtMs,
    actors,
  }
  return { kind: 'identity', identity }
}
