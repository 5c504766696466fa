/**
 * `identity` and `classification`: who vouches for callers, and how sensitive their data is.
 */
import { z } from 'zod'
import type { ClaimSource } from '../../domain/policy/policy.ts'
import { block, duration, list, name, value, wholeNumber } from './policies-values.ts'

/** Signatures by a private key. Shared secrets (HS256) are left out: whoever can verify them can also sign. */
const ALGORITHMS = [
  'RS256',
  'RS384',
  'RS512',
  'PS256',
  'PS384',
  'PS512',
  'ES256',
  'ES384',
  'ES512',
  'EdDSA',
  'Ed25519',
] as const

const HOUR_MS = 3_600_000

/** Longest life of a token any issuer may be trusted with; some cloud platforms renew only once a day. */
const LIFETIME_MAX_MS = 31 * 24 * HOUR_MS

const ISSUER_MAX = 2_048

/** RFC 6901: every reference token follows a slash, and `~` stands only in `~0` and `~1`. */
const pointer = z
  .string({ error: 'expected a JSON Pointer such as /realm_access/roles' })
  .regex(/^(\/([^~/]|~[01])*){1,16}$/, 'a JSON Pointer (RFC 6901) such as /realm_access/roles')

const claimSource = block({
  claim: value.optional(),
  pointer: pointer.optional(),
  value: value.optional(),
  prefix: value.optional(),
  default: value.optional(),
}).transform((source, context): ClaimSource => {
  const { claim, pointer: path, value: fixed, prefix = '', default: otherwise } = source
  const fail = (message: string) => context.addIssue({ code: 'custom', message, input: source })
  if ([claim, path, fixed].filter((part) => part !== undefined).length !== 1)
    fail('exactly one of claim, pointer and value')
  if (fixed !== undefined && (prefix !== '' || otherwise !== undefined))
    fail('a fixed value has no prefix and no default')
  return { from: origin({ claim, path, fixed }), prefix, default: otherwise }
})

function origin(source: {
  readonly claim: string | undefined
  readonly path: string | undefined
  readonly fixed: string | undefined
}): ClaimSource['from'] {
  if (source.claim !== undefined) return { kind: 'claim', name: source.claim }
  if (source.path !== undefined) return { kind: 'pointer', path: referenceTokens(source.path) }
  return { kind: 'value', value: source.fixed ?? '' }
}

/** `~1` first: `~01` stands for `~1` (RFC 6901 section 4). */
function referenceTokens(text: string): readonly string[] {
  return text
    .split('/')
    .slice(1)
    .map((token) => token.replaceAll('~1', '/').replaceAll('~0', '~'))
}

const source = claimSource.optional()

/** Not `issuer`, which is the name of the rule that accepted the token: no claim can make one issuer speak for another. */
const claimMap = block({
  tenant: source,
  team: source,
  user: source,
  agent: source,
  client: source,
  role: source,
  group: source,
  tier: source,
  lane: source,
  classification: source,
  residency: source,
  run: source,
})

const jwks = block({ file: z.string().min(1).optional(), uri: z.url('expected a URL').optional() }).refine(
  ({ file, uri }) => (file === undefined) !== (uri === undefined),
  'exactly one of file and uri',
)

const lifetime = duration({
  minMs: 60_000,
  maxMs: LIFETIME_MAX_MS,
  hint: 'a duration such as 15m or 24h, from 1m to 31d',
})

/** Whether its callers may say in a header which run a call belongs to. */
const runHeader = z.boolean({ error: 'true or false' }).default(false)

const builtinIssuer = block({ name, builtin: z.literal(true), runHeader })

const externalIssuer = block({
  name,
  builtin: z.literal(false).optional(),
  issuer: z
    .string({ error: 'the exact iss of its tokens' })
    .min(1)
    .max(ISSUER_MAX)
    .regex(/^\S+$/, 'the exact iss of its tokens: no spaces'),
  jwks,
  audiences: list(value).min(1, 'name at least one audience: a token for another service must not work here'),
  algorithms: list(z.enum(ALGORITHMS, `one of ${ALGORITHMS.join(', ')}: only signatures by a private key`)).min(
    1,
    'name the algorithms it signs with',
  ),
  types: list(value)
    .min(1)
    .default(['at+jwt', 'jwt'])
    .transform((types) => types.map((type) => type.toLowerCase().replace(/^application\//, ''))),
  maxLifetime: lifetime.default(HOUR_MS),
  requireJti: z.boolean({ error: 'true or false' }).default(false),
  runHeader,
  map: claimMap,
})

export const identity = block({
  issuers: list(z.discriminatedUnion('builtin', [builtinIssuer, externalIssuer])).min(1, 'name at least one issuer'),
})

export type IssuerText = z.output<typeof identity>['issuers'][number]

/** Largest weight: a level that counts a thousandfold is better denied. */
const WEIGHT_MAX = 1_000

export const classification = block({
  levels: list(block({ name, weight: wholeNumber(1, WEIGHT_MAX).default(1) })).min(
    1,
    'name at least one level, lowest first',
  ),
  default: name,
})

export type ClassificationText = z.output<typeof classification>

/** What a set without `classification` means. */
export const STANDARD_CLASSIFICATION: ClassificationText = {
  levels: [
    { name: 'public', weight: 1 },
    { name: 'internal', weight: 1 },
    { name: 'confidential', weight: 2 },
    { name: 'restricted', weight: 5 },
  ],
  default: 'internal',
}
