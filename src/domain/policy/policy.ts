/**
 * A policy set, compiled: every name resolved, every unit an integer, ready to be evaluated without looking anything up.
 */
import type { IdentityDimension } from '../identity.ts'

/** Everything a rule can be keyed by or match on. */
export type Dimension = IdentityDimension | 'model' | 'operation' | 'upstream'

/**
 * One test of one dimension. For list dimensions a test holds when any value of the caller passes it; `not` is the
 * opposite of that, so it holds when no value passes.
 */
export type Test =
  | { readonly kind: 'anyOf'; readonly values: ReadonlySet<string> }
  | { readonly kind: 'not'; readonly test: Test }
  | { readonly kind: 'glob'; readonly pattern: string; readonly matches: (value: string) => boolean }
  | { readonly kind: 'level'; readonly atLeast: number; readonly atMost: number }
  | { readonly kind: 'present'; readonly present: boolean }

/** All tests must hold; an empty match holds for everybody. */
export type Match = readonly { readonly dimension: Dimension; readonly test: Test }[]

export interface ClaimSource {
  /** Where the value is: a top-level claim by name, an RFC 6901 pointer, or a fixed value. */
  readonly from:
    | { readonly kind: 'claim'; readonly name: string }
    | { readonly kind: 'pointer'; readonly path: readonly string[] }
    | { readonly kind: 'value'; readonly value: string }
  readonly prefix: string
  readonly default: string | undefined
}

export interface IssuerRule {
  readonly name: string
  /** The exact `iss`. */
  readonly issuer: string
  readonly keys:
    | { readonly kind: 'builtin' }
    | { readonly kind: 'file'; readonly path: string }
    | { readonly kind: 'url'; readonly url: string }
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  /** Accepted `typ` header values, lower case without `application/`; `none` stands for an absent one. */
  readonly types: readonly string[]
  readonly lifetimeMaxMs: number
  readonly requireTokenId: boolean
  /** Whether its callers may name the run of a call in a header; such a run belongs to tenant and agent of the token. */
  readonly runHeader: boolean
  readonly map: Readonly<Partial<Record<IdentityDimension, ClaimSource>>>
}

export interface ClassificationLevel {
  readonly name: string
  readonly weight: number
}

export interface Classification {
  /** Lowest first. */
  readonly levels: readonly ClassificationLevel[]
  readonly default: string
}

export interface AccessRule {
  readonly name: string
  readonly match: Match
  readonly effect:
    | {
        readonly kind: 'allow'
        /** Aliases or globs; undefined means every model the set offers. */
        readonly models: readonly ((model: string) => boolean)[] | undefined
        readonly operations: ReadonlySet<string> | undefined
        readonly outputTokensMax: number | undefined
      }
    | {
        readonly kind: 'deny'
        readonly message: string | undefined
        readonly models: readonly ((model: string) => boolean)[] | undefined
      }
}

/** What a limit or budget counts. */
export type Unit = 'requests' | 'tokens' | 'input_tokens' | 'output_tokens' | 'usd' | 'concurrent' | 'ms'

export type LimitShape =
  | { readonly kind: 'gcra'; readonly amount: number; readonly periodMs: number; readonly burst: number }
  | { readonly kind: 'fixed'; readonly amount: number; readonly periodMs: number }
  | { readonly kind: 'sliding'; readonly amount: number; readonly periodMs: number }
  | { readonly kind: 'concurrent'; readonly amount: number }

/** What becomes of a call under a rule while the ledger is away: refused, or decided by this node within its share. */
export type OnLedgerError = 'closed' | 'local'

export interface LimitRule {
  readonly name: string
  /** 8 characters of base62, from name, key, unit, shape kind and window; not from the amount, so raising it keeps the count. */
  readonly id: string
  readonly match: Match
  readonly key: readonly Dimension[]
  readonly unit: Exclude<Unit, 'usd' | 'ms'>
  readonly shape: LimitShape
  /** Multiplies every charge by the weight of the caller's classification. */
  readonly weighByClassification: boolean
  readonly onLedgerError: OnLedgerError
  /** Whether an answer may be made shorter to fit into what is left of it. */
  readonly fit?: boolean | undefined
  readonly message: string | undefined
}

export type Period = 'minute' | 'hour' | 'day' | 'week' | 'month' | 'lifetime'

/** Days of a week as {@link Calendar.weekStart} counts them. */
export const WEEKDAYS = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'] as const

/** Where the windows of a budget begin. */
export interface Calendar {
  readonly period: Period
  /** IANA zone whose clocks cut the period. */
  readonly timeZone: string
  /** Minutes after local midnight at which a day, week or month begins; 0 for other periods. */
  readonly atMinutes: number
  /** The day a week begins on: an index of {@link WEEKDAYS}; 0 for other periods. */
  readonly weekStart: number
}

export interface BudgetRule extends Calendar {
  readonly name: string
  /** As a limit's, from name, key, unit and period; not from zone, time or weekday, so moving an edge keeps the count. */
  readonly id: string
  readonly match: Match
  readonly key: readonly Dimension[]
  readonly unit: 'usd' | 'tokens' | 'requests'
  /** Nano-USD, tokens or calls. */
  readonly amount: number
  readonly onLedgerError: OnLedgerError
  /** As a limit's. */
  readonly fit?: boolean | undefined
  readonly message: string | undefined
}

/** One amount that a run of an agent has, once and for all. */
export interface RunRule {
  readonly kind: 'run'
  readonly name: string
  /** As a budget's, from name, key and unit. */
  readonly id: string
  readonly match: Match
  /** Ends with `run`. */
  readonly key: readonly Dimension[]
  readonly unit: 'usd' | 'tokens' | 'requests' | 'ms'
  /** Nano-USD, tokens, calls, or milliseconds from the run's first admitted call on. */
  readonly amount: number
  /** Whether a run goes on is known to the ledger alone. */
  readonly onLedgerError: 'closed'
  readonly message: string | undefined
}

export interface UpstreamKey {
  readonly id: string
  /** Where the secret is: `env:NAME` or `file:/path`; undefined for upstreams that need none. */
  readonly secret: string | undefined
}

export interface Simulation {
  /** Wait before the first byte, in milliseconds. */
  readonly latencyMs: number
  /** Speed of a stream; 0 means as fast as the socket takes it. */
  readonly tokensPerSecond: number
  /** Length of every answer, unless the caller's maximum is smaller. */
  readonly outputTokens: number
}

export interface Upstream {
  readonly name: string
  readonly provider: 'openai' | 'anthropic' | 'simulator'
  /** Undefined only for the simulator, which listens on a loopback port of its own. */
  readonly baseUrl: string | undefined
  readonly region: string | undefined
  /** Alias -> the provider's model name. */
  readonly models: ReadonlyMap<string, string>
  readonly keys: readonly UpstreamKey[]
  /** Left out, instead of failing the load, when its secret is not there. */
  readonly optional: boolean
  readonly simulation: Simulation | undefined
}

export interface Destinations {
  readonly allow: readonly string[]
  /** CIDR ranges that allowed names may resolve to although they are private. */
  readonly allowPrivate: readonly string[]
}

export interface Policy {
  readonly name: string
  readonly revision: string | undefined
  /** SHA-256 (hex) of the canonical set: it is on every record. */
  readonly digest: string
  /** Canonical JSON the digest was computed over. */
  readonly canonical: string
  /** Rises with every activation; the ledger keeps the limit of the highest version. */
  readonly version: number
  readonly issuers: readonly IssuerRule[]
  readonly classification: Classification
  readonly access: readonly AccessRule[]
  readonly limits: readonly LimitRule[]
  readonly budgets: readonly BudgetRule[]
  readonly runs: readonly RunRule[]
  readonly upstreams: readonly Upstream[]
  readonly destinations: Destinations
  /** Every role that some rule names; a limit keyed by role without a role match charges these. */
  readonly knownRoles: ReadonlySet<string>
  /** The same for groups. */
  readonly knownGroups: ReadonlySet<string>
}
