/**
 * A checked set -> the policy that is evaluated: names become ranks, sets and functions, paths become absolute.
 */
import { createHash } from 'node:crypto'
import { resolve } from 'node:path'
import { canonicalJson } from '../../domain/audit/canonical-json.ts'
import { compileGlob } from '../../domain/policy/glob.ts'
import type {
  AccessRule,
  BudgetRule,
  Classification,
  IssuerRule,
  LimitRule,
  Match,
  OnLedgerError,
  Policy,
  RunRule,
  Test,
  Upstream,
} from '../../domain/policy/policy.ts'
import { digestOf } from './policies-digest.ts'
import { STANDARD_CLASSIFICATION, type IssuerText } from './policies-identity-schema.ts'
import type { JoinedSet, Placed } from './policies-join.ts'
import type { BudgetText, LimitText, RateText } from './policies-limits-schema.ts'
import type { MatchText, TestText } from './policies-match.ts'
import type { RunText } from './policies-runs-schema.ts'
import type { AccessText, UpstreamText } from './policies-schema.ts'

/** What `builtin: true` stands for. */
export interface BuiltinIssuer {
  readonly issuer: string
  readonly audience: string
  readonly map: IssuerRule['map']
}

/** Longest life of a token of the built-in issuer: it is for development and for hand-made tokens. */
const BUILTIN_LIFETIME_MAX_MS = 31 * 86_400_000

const ID_LENGTH = 8
const BASE62 = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'

export function compilePolicy(
  set: JoinedSet,
  options: { readonly version: number; readonly builtin: BuiltinIssuer },
): Policy {
  const classification = set.classification?.part ?? STANDARD_CLASSIFICATION
  const common = { classification, onLedgerError: set.onLedgerError ?? 'closed' } as const
  return {
    name: set.metadata.name,
    revision: set.metadata.revision,
    ...digestOf(set),
    version: options.version,
    issuers: set.issuers.map((issuer) => issuerRule(issuer, options.builtin)),
    classification,
    access: set.access.map(({ part }) => accessRule(part, classification)),
    limits: set.limits.flatMap(({ part }) => limitRules(part, common)),
    budgets: set.budgets.map(({ part }) => budgetRule(part, common)),
    runs: set.runs.flatMap(({ part }) => runRules(part, classification)),
    upstreams: set.upstreams.map(({ part }) => upstreamOf(part)),
    destinations: {
      allow: set.allow.map(({ part }) => part.toLowerCase()),
      allowPrivate: set.allowPrivate.map(({ part }) => part),
    },
    knownRoles: namedValues(set, 'role'),
    knownGroups: namedValues(set, 'group'),
  }
}

function issuerRule({ part, folder }: Placed<IssuerText>, builtin: BuiltinIssuer): IssuerRule {
  if (part.builtin === true) {
    return {
      name: part.name,
      issuer: builtin.issuer,
      keys: { kind: 'builtin' },
      audiences: [builtin.audience],
      algorithms: ['EdDSA', 'Ed25519'],
      types: ['at+jwt'],
      lifetimeMaxMs: BUILTIN_LIFETIME_MAX_MS,
      requireTokenId: true,
      runHeader: part.runHeader,
      map: builtin.map,
    }
  }
  const { name, issuer, jwks, audiences, algorithms, types, maxLifetime, requireJti, runHeader, map } = part
  return {
    name,
    issuer,
    keys:
      jwks.file === undefined
        ? { kind: 'url', url: jwks.uri ?? '' }
        : { kind: 'file', path: resolve(folder, jwks.file) },
    audiences,
    algorithms,
    types,
    lifetimeMaxMs: maxLifetime,
    requireTokenId: requireJti,
    runHeader,
    map: defined(map),
  }
}

/** Without the members that are undefined: an absent source and one that is undefined must not differ. */
function defined(map: Exclude<IssuerText, { builtin: true }>['map']): IssuerRule['map'] {
  const entries = Object.entries(map).filter(([, source]) => source !== undefined)
  // Proof: entries of `map` with their own keys, less the undefined ones, have the type of its defined part.
  return Object.fromEntries(entries) as IssuerRule['map']
}

function compileMatch(match: MatchText, classification: Classification): Match {
  return match.map(({ dimension, test }) => ({ dimension, test: compileTest(test, classification) }))
}

function compileTest(test: TestText, classification: Classification): Test {
  if (test.kind === 'anyOf') return { kind: 'anyOf', values: new Set(test.values) }
  if (test.kind === 'glob') return { kind: 'glob', pattern: test.pattern, matches: compileGlob(test.pattern) }
  if (test.kind === 'present') return test
  if (test.kind === 'not') return { kind: 'not', test: compileTest(test.test, classification) }
  const rank = (level: string) => classification.levels.findIndex(({ name }) => name === level)
  return {
    kind: 'level',
    atLeast: test.atLeast === undefined ? 0 : rank(test.atLeast),
    atMost: test.atMost === undefined ? classification.levels.length - 1 : rank(test.atMost),
  }
}

function accessRule({ name, match, allow, deny, message }: AccessText, classification: Classification): AccessRule {
  const rule = { name, match: compileMatch(match, classification) }
  if (deny !== undefined) return { ...rule, effect: { kind: 'deny', message, models: deny.models?.map(compileGlob) } }
  return {
    ...rule,
    effect: {
      kind: 'allow',
      models: allow?.models?.map(compileGlob),
      operations: allow?.operations && new Set<string>(allow.operations),
      outputTokensMax: allow?.maxOutputTokens,
    },
  }
}

/** What rules take from their set. */
interface Common {
  readonly classification: Classification
  readonly onLedgerError: OnLedgerError
}

function limitRules(limit: LimitText, { classification, onLedgerError }: Common): readonly LimitRule[] {
  const { name, key, rates, concurrent, weigh, enforce } = limit
  const counters: readonly RateText[] = [
    ...rates,
    ...(concurrent === undefined
      ? []
      : [{ unit: 'concurrent', shape: { kind: 'concurrent', amount: concurrent }, fit: false } as const]),
  ]
  return counters.map(({ unit, shape, fit }) => ({
    name,
    id: ruleId({
      kind: 'limit',
      name,
      key,
      unit,
      shape: shape.kind,
      periodMs: 'periodMs' in shape ? shape.periodMs : 0,
    }),
    match: compileMatch(limit.match, classification),
    key,
    unit,
    shape,
    weighByClassification: weigh === 'classification',
    onLedgerError: limit.on_ledger_error ?? onLedgerError,
    fit,
    message: enforce.message,
  }))
}

function budgetRule(budget: BudgetText, { classification, onLedgerError }: Common): BudgetRule {
  const { name, key, limit, fit, message } = budget
  const id = ruleId({ kind: 'budget', name, key, unit: limit.unit, period: limit.period })
  const match = compileMatch(budget.match, classification)
  return { name, id, match, key, ...limit, fit, onLedgerError: budget.on_ledger_error ?? onLedgerError, message }
}

function runRules({ name, match, key, limit, message }: RunText, classification: Classification): readonly RunRule[] {
  const rule = {
    kind: 'run',
    name,
    match: compileMatch(match, classification),
    key,
    onLedgerError: 'closed',
    message,
  } as const
  return limit.map(({ unit, amount }) => ({ ...rule, id: ruleId({ kind: 'run', name, key, unit }), unit, amount }))
}

/** Says what is counted, and leaves out how much of it there is: raising a limit keeps what was counted. */
function ruleId(identity: Readonly<Record<string, unknown>>): string {
  let rest = createHash('sha256').update(canonicalJson(identity)).digest().readBigUInt64BE()
  let id = ''
  while (id.length < ID_LENGTH) {
    id += BASE62[Number(rest % 62n)] ?? ''
    rest /= 62n
  }
  return id
}

function upstreamOf(upstream: UpstreamText): Upstream {
  const { name, provider, region, models, optional } = upstream
  const common = { name, provider, region, models: new Map(Object.entries(models)), optional }
  if (upstream.provider !== 'simulator') {
    return { ...common, baseUrl: upstream.baseUrl, keys: upstream.keys, simulation: undefined }
  }
  const { latency, tokensPerSecond, outputTokens } = upstream.simulator
  return { ...common, baseUrl: undefined, keys: [], simulation: { latencyMs: latency, tokensPerSecond, outputTokens } }
}

/** Every value that some rule of the set spells out for a list dimension, also within `not`. */
export function namedValues(set: JoinedSet, dimension: 'role' | 'group'): ReadonlySet<string> {
  const tests = [...set.access, ...set.limits, ...set.budgets, ...set.runs]
    .flatMap(({ part }): MatchText => part.match)
    .filter((entry) => entry.dimension === dimension)
    .map(({ test }) => (test.kind === 'not' ? test.test : test))
  return new Set(tests.flatMap((test) => (test.kind === 'anyOf' ? test.values : [])))
}
