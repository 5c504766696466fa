/**
 * What the story needs from the world. Each interface states what an implementation owes; one contract suite per port
 * holds every implementation to it.
 */
import type { Accumulator, AccumulatorState } from './domain/accumulator.ts'
import type { AuditRecord, WrittenDraft } from './domain/audit-record.ts'
import type { DialectName } from './domain/ask.ts'
import type { Calibration } from './domain/calibration.ts'
import type { Decision } from './domain/decision.ts'
import type { Identity } from './domain/identity.ts'
import type { Policy, Upstream } from './domain/policy.ts'
import type { Encoding, PriceTable } from './domain/prices.ts'
import type {
  ExpiredHold,
  Hold,
  OpenHold,
  ReservationId,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from './domain/reservation.ts'
import type { Settlement } from './domain/settlement.ts'

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

/** Room for the amounts of a call that draws from as many accumulators as one may. */
export const LEDGER_NOTE_MAX = 2_048

/**
 * Holds every accumulator.
 *
 * Owes: `reserve` checks and charges all accumulators in one atomic step or changes none; a refusal leaves no trace at
 * all. The reservation id comes from the caller and every operation is idempotent by it: a repeat gives the state of the
 * first and changes nothing. A rejected promise means that it may or may not have happened; the caller voids. A
 * settlement charges the window of its reservation, records what the call really cost even when that is more than was
 * held, and corrects an expired hold by the difference. A hold that outlives its lease is charged in full by `reap`,
 * never released. Every call answers or rejects with
 * `LedgerUnavailable` within a bound.
 */
export interface Ledger extends AsyncDisposable {
  readonly kind: 'memory' | 'redis'
  reserve(request: ReservationRequest): Promise<ReserveOutcome>
  /**
   * `actual[i]` replaces `hold.charges[i].amount`. Concurrency charges free their place whatever is given. A ledger that
   * outlives the process keeps `note` (at most {@link LEDGER_NOTE_MAX} characters) as long as it recognises a repeat.
   */
  settle(hold: Hold, actual: readonly number[], note?: string): Promise<SettleOutcome>
  /** Settles at zero, also an id that is not known yet: a reserve of that id that arrives later is refused. */
  void(hold: Pick<Hold, 'id' | 'charges'>): Promise<SettleOutcome>
  /** Gives the holds another lease; answers the ids that are no longer held. */
  extend(holds: readonly Pick<Hold, 'id' | 'charges'>[], leaseMs: number): Promise<readonly ReservationId[]>
  /** Charges at most `max` overdue holds in full and says which. */
  reap(max: number): Promise<readonly ExpiredHold[]>
  /** State now, without changing anything. */
  balances(accumulators: readonly Accumulator[]): Promise<readonly AccumulatorState[]>
  /** At most `max` open holds, oldest lease first. */
  holds(max: number): Promise<readonly OpenHold[]>
  /** The hold of an id that is held or expired, as far as the ledger still knows it. */
  find(id: ReservationId): Promise<Hold | undefined>
  /** The note of a settled reservation while it is kept; absent on a ledger that forgets on exit. */
  noteOf?(id: ReservationId): Promise<string | undefined>
  /** Resolves when the store answers; rejects when it does not, within a bound. */
  ping(): Promise<void>
}

/** Where a record stands, and its receipt when one was asked for. */
export interface Signed {
  readonly seq: number
  readonly timeMs: number
  /** Compact JWS over the record's leaf hash; present when asked for. */
  readonly receipt: string | undefined
}

/**
 * The append-only, signed log.
 *
 * Owes: `append` resolves only when the record survives a kill of the process (and, with durability `disk`, of the
 * machine); it rejects with `AuditUnavailable` when it cannot, and then the record is not in the log. Records keep the
 * order of the calls. Never blocks the event loop for I/O; what waits is bounded.
 */
export interface AuditLog extends AsyncDisposable {
  /** Origin of this log. */
  readonly origin: string
  append(draft: WrittenDraft, options?: { readonly receipt?: boolean }): Promise<Signed>
  /** False while appends would be rejected: admission checks it before anything is reserved. */
  writable(): boolean
  /** Verification key in C2SP vkey form and the receipt keys as a JWKS. */
  keys(): { readonly vkey: string; readonly jwks: { readonly keys: readonly Record<string, unknown>[] } }
  /** Reads the log from its beginning, in order. */
  records(): AsyncIterable<AuditRecord>
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

/**
 * What operators watch. One method an event: its log line and its counters are defined together. Never given content,
 * credentials or names of people.
 */
export interface Events {
  decided(decision: Decision, decidedInMs: number): void
  authenticationFailed(issuer: string | undefined, reason: string): void
  /** Also alarms when a provider billed more than a bound it accepted (flag `bound_exceeded`). */
  settled(settlement: Settlement): void
  /** An issuer's keys could not be read, or a key in its set is unusable; known keys serve on. */
  issuerKeysFailed(issuer: string, problem: string): void
  /** A settlement could not be written to the ledger or the log and is tried again, or given up. */
  settlementDelayed(callId: string, store: 'ledger' | 'audit', attempt: number, error: unknown): void
  settlementAbandoned(callId: string, store: 'ledger' | 'audit', error: unknown): void
  upstreamFailed(upstream: string, kind: string): void
  ledgerFailed(operation: string, error: unknown): void
  auditFailed(error: unknown): void
  holdsExpired(count: number): void
  holdsLost(count: number): void
  /** Something that should not happen did; the call was answered with a plain 500. */
  unexpected(where: string, error: unknown): void
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

/** Calls that hold something: extended while they live, waited for at shutdown. */
export interface OpenCalls {
  /** Counts the hold as alive until `close`; `halt` gives the call up when shutdown can wait no longer. */
  open(hold: Hold, halt: () => void): void
  close(id: ReservationId): void
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
