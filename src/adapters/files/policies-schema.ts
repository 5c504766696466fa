/**
 * The shape of one policy file. What it parses to is plain data in one normal form: defaults filled in, durations in
 * milliseconds, money in nano-dollars.
 */
import { z } from 'zod'
import { classification, identity } from './policies-identity-schema.ts'
import { DIMENSIONS, IDENTITY_DIMENSIONS, match } from './policies-match.ts'
import { budget, limit, onLedgerError } from './policies-limits-schema.ts'
import { run } from './policies-runs-schema.ts'
import { block, duration, list, message, modelName, modelPattern, name, value, wholeNumber } from './policies-values.ts'

const MINUTE_MS = 60_000

const metadata = block({
  name,
  revision: value.optional(),
  owner: value.optional(),
  description: message.optional(),
})

const secret = z
  .string({ error: 'where the secret is: env:NAME or file:/path; never the secret itself' })
  .regex(
    /^(env:[A-Za-z_][A-Za-z0-9_]*|file:\/.+)$/,
    'where the secret is: env:NAME or file:/path; never the secret itself',
  )

const models = z
  .record(modelName, modelName, { error: 'expected a mapping of names that callers use to names of the provider' })
  .refine((names) => Object.keys(names).length > 0, 'name at least one model')

const place = {
  name,
  region: value.optional(),
  models,
  optional: z.boolean({ error: 'true or false' }).default(false),
}

const vendor = {
  ...place,
  baseUrl: z.url('expected a URL such as https://api.openai.com/v1'),
  keys: list(block({ id: name, secret })).min(1, 'name at least one key'),
}

const simulation = block({
  latency: duration({ minMs: 0, maxMs: MINUTE_MS, hint: 'a duration from 0ms to 1m, such as 200ms' }).default(0),
  tokensPerSecond: wholeNumber(0, 1_000_000).default(0),
  outputTokens: wholeNumber(1, 1_000_000).default(64),
})

const upstream = z.discriminatedUnion(
  'provider',
  [
    block({ provider: z.literal('openai'), ...vendor }),
    block({ provider: z.literal('anthropic'), ...vendor }),
    block({ provider: z.literal('simulator'), ...place, simulator: simulation.prefault({}) }),
  ],
  { error: (issue) => (issue.code === 'invalid_union' ? 'one of openai, anthropic and simulator' : undefined) },
)

const destinations = block({
  allow: list(z.string({ error: 'expected a host name' })).default([]),
  allowPrivate: list(z.string({ error: 'expected an address range such as 127.0.0.0/8' })).default([]),
})

const operations = list(z.enum(['chat'], 'one of: chat')).min(1, 'name at least one operation, or leave it out')
const patterns = list(modelPattern).min(1, 'name at least one model, or leave it out')

const accessRule = block({
  name,
  match: match(IDENTITY_DIMENSIONS),
  allow: block({
    models: patterns.optional(),
    operations: operations.optional(),
    maxOutputTokens: wholeNumber(1).optional(),
  }).optional(),
  deny: block({ all: z.literal(true, 'expected true').optional(), models: patterns.optional() }).optional(),
  message: message.optional(),
}).superRefine((rule, context) => {
  const fail = (path: string[], text: string) => context.addIssue({ code: 'custom', message: text, path, input: rule })
  const { allow, deny } = rule
  if ((allow === undefined) === (deny === undefined)) fail([], 'exactly one of allow and deny')
  if (deny !== undefined && (deny.all === undefined) === (deny.models === undefined)) {
    fail(['deny'], 'exactly one of all and models')
  }
  if (rule.message !== undefined && deny?.all === undefined) {
    fail(['message'], 'only a rule with deny: {all: true} has a message: a denied model answers like an unknown one')
  }
})

const access = block({
  default: z.literal('deny', 'only deny: what no rule allows is refused').default('deny'),
  rules: list(accessRule).default([]),
})

export const policyFile = block({
  apiVersion: z.literal('tollgate/v1', 'expected tollgate/v1'),
  kind: z.literal('PolicySet', 'expected PolicySet'),
  metadata: metadata.optional(),
  identity: identity.optional(),
  classification: classification.optional(),
  upstreams: list(upstream).default([]),
  destinations: destinations.prefault({}),
  access: access.prefault({}),
  on_ledger_error: onLedgerError,
  limits: list(limit(DIMENSIONS)).default([]),
  budgets: list(budget(DIMENSIONS)).default([]),
  runs: list(run(DIMENSIONS)).default([]),
})

export type PolicyFile = z.output<typeof policyFile>
export type MetadataText = NonNullable<PolicyFile['metadata']>
export type UpstreamText = PolicyFile['upstreams'][number]
export type AccessText = PolicyFile['access']['rules'][number]
