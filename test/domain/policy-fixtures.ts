/** Small policies, identities and estimates for tests of what is decided from them. */
import type { Estimate } from '../../src/domain/prices/estimate.ts'
import { compileGlob } from '../../src/domain/policy/glob.ts'
import type { Identity } from '../../src/domain/identity.ts'
import { toNanoUsd } from '../../src/domain/prices/money.ts'
import type {
  AccessRule,
  BudgetRule,
  Dimension,
  LimitRule,
  Match,
  Policy,
  RunRule,
  Test,
  Upstream,
} from '../../src/domain/policy/policy.ts'

export const NOW = Date.parse('2026-11-20T10:00:00Z')

export function anyOf(...values: string[]): Test {
  return { kind: 'anyOf', values: new Set(values) }
}

export function matching(tests: Partial<Record<Dimension, Test>>): Match {
  const dimensions: readonly Dimension[] = [
    'tenant',
    'team',
    'user',
    'agent',
    'role',
    'group',
    'tier',
    'classification',
    'residency',
    'model',
    'operation',
    'upstream',
    'issuer',
    'lane',
    'client',
    'ip',
    'run',
  ]
  return dimensions.flatMap((dimension) => {
    const test = tests[dimension]
    return test === undefined ? [] : [{ dimension, test }]
  })
}

export function upstream(changes: Partial<Upstream> = {}): Upstream {
  return {
    name: 'sim',
    provider: 'simulator',
    baseUrl: undefined,
    region: undefined,
    models: new Map([
      ['small', 'sim-small'],
      ['large', 'sim-large'],
    ]),
    keys: [],
    optional: false,
    simulation: undefined,
    ...changes,
  }
}

export function allow(
  name: string,
  match: Match = [],
  effect: { models?: readonly string[]; operations?: readonly string[]; outputTokensMax?: number } = {},
): AccessRule {
  return {
    name,
    match,
    effect: {
      kind: 'allow',
      models: effect.models?.map(compileGlob),
      operations: effect.operations && new Set(effect.operations),
      outputTokensMax: effect.outputTokensMax,
    },
  }
}

export function deny(
  name: string,
  match: Match = [],
  effect: { models?: readonly string[]; message?: string } = {},
): AccessRule {
  return { name, match, effect: { kind: 'deny', models: effect.models?.map(compileGlob), message: effect.message } }
}

export function limit(changes: Partial<LimitRule> = {}): LimitRule {
  const name = changes.name ?? 'pace'
  return {
    name,
    id: `L${name}`,
    match: [],
    key: ['tenant', 'agent'],
    unit: 'requests',
    shape: { kind: 'gcra', amount: 60, periodMs: 60_000, burst: 20 },
    weighByClassification: false,
    onLedgerError: 'closed',
    message: undefined,
    ...changes,
  }
}

export function budget(changes: Partial<BudgetRule> = {}): BudgetRule {
  const name = changes.name ?? 'team-month'
  return {
    name,
    id: `B${name}`,
    match: [],
    key: ['tenant', 'team'],
    unit: 'usd',
    amount: 25_000_000_000,
    period: 'month',
    timeZone: 'Europe/Berlin',
    atMinutes: 0,
    weekStart: 0,
    onLedgerError: 'closed',
    message: undefined,
    ...changes,
  }
}

export function run(changes: Partial<RunRule> = {}): RunRule {
  return {
    kind: 'run',
    name: 'agent-run',
    id: `R${changes.unit ?? 'requests'}`,
    match: [],
    key: ['tenant', 'agent', 'run'],
    unit: 'requests',
    amount: 7,
    onLedgerError: 'closed',
    message: undefined,
    ...changes,
  }
}

export function policy(changes: Partial<Policy> = {}): Policy {
  return {
    name: 'test',
    revision: undefined,
    digest: '0'.repeat(64),
    canonical: '{}',
    version: 7,
    issuers: [],
    classification: {
      levels: [
        { name: 'public', weight: 1 },
        { name: 'internal', weight: 1 },
        { name: 'confidential', weight: 2 },
        { name: 'restricted', weight: 5 },
      ],
      default: 'internal',
    },
    access: [allow('everybody')],
    limits: [],
    budgets: [],
    runs: [],
    upstreams: [upstream()],
    destinations: { allow: [], allowPrivate: [] },
    knownRoles: new Set(),
    knownGroups: new Set(),
    ...changes,
  }
}

export function identity(
  single: Identity['single'] = { tenant: 'acme', team: 'research', user: 'ada', agent: 'bot' },
  list: Partial<Identity['list']> = {},
): Identity {
  return {
    single,
    list: { role: ['agent'], group: [], ...list },
    issuer: 'dev',
    subject: 'ada',
    expiresAtMs: NOW + 60_000,
    actors: [],
  }
}

export function estimate(changes: Partial<Estimate> = {}): Estimate {
  return {
    inputTokens: { expected: 100, upper: 400 },
    outputTokens: { expected: 50, upper: 1_000 },
    cost: { expected: toNanoUsd(2_000_000n), upper: toNanoUsd(14_000_000_000n) },
    method: 'bytes',
    outputTokensMax: 1_000,
    outputMaxInjected: false,
    ...changes,
  }
}

export const ask = { model: 'small', operation: 'chat', family: 'openai' } as const
export const target = { upstream: { name: 'sim' } }
