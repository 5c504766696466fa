/**
 * What the story needs from the world. Each interface states what an implementation owes; one contract suite per port
 * holds every implementation to it.
 */
import type { DialectName } from './domain/ask.ts'
import type { Calibration } from './domain/prices/calibration.ts'
import type { Identity } from './domain/identity.ts'
import type { Policy, Upstream } from './domain/policy/policy.ts'
import type { Encoding, PriceTable } from './domain/prices/prices.ts'
import type { Hold, ReservationId } from './domain/ledger/reservation.ts'
import type { AuditLog } from './ports/audit-log.ts'
import type { Events } from './ports/events.ts'
import type { Ledger } from './ports/ledger.ts'

/** Wall clock, injected so that everything above it is a function of values. */
export interface Clock {
  /** Epoch milliseconds. */
  nowMs(): number
}

/** Waits for time to pass; apart from the clock because only retries need it. */
export interface Timer {
  /** Resolves after `ms` milliseconds. */
  wait(ms: number): Promise<void>
}

/** Fresh identifiers. */
export interface Ids {
  /** A UUIDv7: sorts by time. */
  next(): string
}

/** Why a credential was not accepted. `reason` is for the record; the caller learns only `public`. */
export interface TokenRejected {
  readonly kind: 'rejected'
  readonly public: 'expired' | 'wrong_audience' | 'not_accepted'
  /** Closed, low-cardinality word such as `bad_signature`, `unknown_kid`, `alg_not_allowed`, `claim_role_malformed`. */
  readonly reason: string
  /** Name of the configured issuer when the token named one we know. */
  readonly issuer: string | undefined
}

export type TokenVerdict = { readonly kind: 'verified'; readonly identity: Identity } | TokenRejected

/**
 * Verifies a bearer token against the issuers of the policy in force.
 *
 * Owes: checks algorithm, signature, issuer, audience, type, times and lifetime before anything of the payload is used;
 * never throws for a bad token, only for its own failure; answers within a bound even when an issuer's keys cannot be
 * fetched; never logs a token. A verdict may come from a cache keyed by the hash of the whole token, for at most 60 s and
 * never past its expiry; failures are not cached.
 */
export interface TokenVerifier extends AsyncDisposable {
  verify(token: string): Promise<TokenVerdict>
  /** Public keys of the built-in issuer as a JWKS, empty when there is none. */
  builtinKeys(): { readonly keys: readonly Record<string, unknown>[] }
}

/**
 * Counts tokens exactly with a public encoding.
 *
 * Owes: never blocks the caller's event loop for more than a few milliseconds; answers undefined when it cannot answer
 * soon (queue full, text over its cap), which means "keep the byte bound", never "zero".
 */
export interface TokenCounter extends AsyncDisposable {
  count(texts: readonly string[], encoding: Encoding): Promise<number | undefined>
}

/** What goes to a provider. */
export interface UpstreamCall {
  readonly upstream: Upstream
  readonly dialect: DialectName
  readonly body: Uint8Array
  readonly stream: boolean
  /** Headers of the caller that belong to the wire format itself (`anthropic-version`, `anthropic-beta`), nothing else. */
  readonly headers: Readonly<Record<string, string>>
  /** Aborts the call; the connection is closed. */
  readonly signal: AbortSignal
}

export interface UpstreamReply {
  readonly status: number
  /** Content type and retry advice only; limits of the shared key are not the caller's business. */
  readonly headers: Readonly<Record<string, string>>
  readonly requestId: string | undefined
  /** The answer's bytes, decompressed, as they come. Rejects with `UpstreamFailure` when the connection breaks. */
  readonly body: AsyncIterable<Uint8Array>
}

/**
 * Sends calls to configured upstreams.
 *
 * Owes: resolves when status and headers are known and rejects with `UpstreamFailure` otherwise; says truthfully
 * whether anything was sent (an abort by us counts as sent once the request was written); adds the upstream's own
 * credential and never the caller's; never retries, never follows a redirect; times out within named bounds.
 */
export interface Upstreams extends AsyncDisposable {
  send(call: UpstreamCall): Promise<UpstreamReply>
}

/** The policy and prices in force. A call reads each once and keeps what it read to its end. */
export interface Rules {
  policy(): Policy
  prices(): PriceTable
}

/** Replaces a person's name in records by a pseudonym that only the holder of the key can link back. */
export interface Pseudonyms {
  /** 22 characters of base64url, the same for the same tenant, issuer and subject as long as the key lives. */
  of(tenant: string, issuer: string, subject: string): string
}

/** Where a stream goes: the caller's connection, or nowhere once the caller has left. */
export interface Sink {
  /** Writes and says whether more may be written at once. A sink whose caller has gone takes and drops everything. */
  write(chunk: Uint8Array | string): boolean
  /** Resolves when more may be written, or the caller has gone. */
  drained(): Promise<void>
  /** Ends the answer cleanly. */
  end(): void
  /** Ends the answer so that the client sees a broken connection. */
  abort(): void
}

/** The two places that have to know what became of a call. */
export type Store = 'ledger' | 'audit'

/** Calls that hold something: extended while they live, waited for at shutdown. */
export interface OpenCalls {
  /** The call is open until both stores are done with it; `halt` gives it up when shutdown can wait no longer. */
  open(hold: Hold, halt: () => void): void
  /** What each charge of its hold becomes is known now. */
  settling(id: ReservationId, amounts: readonly number[]): void
  /** The log did not take the settlement for long: `write` is tried again now and then, and the call stays open. */
  owe(id: ReservationId, write: () => Promise<unknown>): void
  /** This store has acknowledged the settlement, or was given up on (`isWritten` false). */
  done(id: ReservationId, store: Store, isWritten: boolean): void
  /** Keeps shutdown waiting until `work` has ended, however it ends. */
  track(work: Promise<unknown>): void
}

/** The ports, joined once at start and handed down as one value. */
export interface World {
  readonly auditLog: AuditLog
  readonly calibration: Calibration
  readonly clock: Clock
  readonly counter: TokenCounter
  readonly events: Events
  readonly ids: Ids
  readonly ledger: Ledger
  readonly openCalls: OpenCalls
  readonly pseudonyms: Pseudonyms
  readonly rules: Rules
  readonly timer: Timer
  readonly upstreams: Upstreams
  readonly verifier: TokenVerifier
}
