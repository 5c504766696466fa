/**
 * Reads the body of `POST /v1/messages` into an {@link Ask} and writes the bytes that go upstream.
 */
import type { Ask, InvalidAsk, ParsedAsk } from '../domain/ask.ts'
import type { Splice } from '../domain/dialect.ts'
import { readMessages } from './anthropic-content.ts'
import { readTools } from './anthropic-tools.ts'
import { Content, textsOf } from './content.ts'
import { FieldReader, OUTPUT_TOKENS_MAX } from './field-reader.ts'
import { setMember, splice } from './json-edit.ts'
import type { Edit } from './json-edit.ts'
import { scanObject } from './json-members.ts'
import { isObject, parseJsonBytes } from './json-value.ts'
import type { JsonObject } from './json-value.ts'
import { readRequestBody } from './request-body.ts'

const SERVICE_TIERS = ['auto', 'standard_only'] as const
const SPEEDS = ['standard', 'fast'] as const

/** Fields that bring in stored content of a size unknown here. */
const STORED_CONTENT = ['container', 'thread', 'previous_message_id'] as const

/** Fields that are acted on here or may cost something. */
const FIELD_NAMES: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'system',
  'stream',
  'max_tokens',
  'thinking',
  'tools',
  'mcp_servers',
  'fallbacks',
  'service_tier',
  'speed',
  'inference_geo',
  'cache_control',
  'context_management',
  'compaction',
  'betas',
  ...STORED_CONTENT,
])

const THINKING_NAMES: ReadonlySet<string> = new Set(['budget_tokens'])

/** The lifetime of a cache entry that costs the ordinary write price; every other one may cost the long price. */
const SHORT_CACHE_TTL = '5m'

export function parseMessages(body: Uint8Array): ParsedAsk | InvalidAsk {
  let longCacheWrites = false
  const read = readRequestBody(body, ({ ttl }) => {
    // Wherever `cache_control` stands. A `ttl` of something else only makes the bound wider.
    if (typeof ttl === 'string' && ttl !== SHORT_CACHE_TTL) longCacheWrites = true
  })
  if (read.kind === 'invalid') return read
  const fields = new FieldReader(read.root)
  const content = new Content()
  fields.spelling(FIELD_NAMES)
  const model = fields.model()
  readMessages(fields, content)
  for (const name of STORED_CONTENT) if (fields.value(name) !== undefined) content.opaque.add(name)
  const isCompacted = compacts(fields)
  if (isCompacted) content.opaque.add('context_management.edits')
  const ask: Ask = {
    dialect: 'anthropic-messages',
    family: 'anthropic',
    operation: 'chat',
    model,
    stream: fields.boolean('stream') ?? false,
    body,
    textBytes: Math.max(0, read.nfcBytes - content.mediaBytes),
    images: content.images,
    mediaTokensMax: content.mediaTokensMax,
    ...outputMaximum(fields),
    compacts: isCompacted,
    geography: fields.word('inference_geo'),
    choices: 1,
    serviceTier: serviceTier(fields),
    // Every stream of this format reports usage; there is nothing to ask for and nothing to strip.
    wantsStreamUsage: true,
    longCacheWrites,
    ...readTools(fields),
    opaque: [...content.opaque],
    texts: () => textsOfBody(body),
  }
  return fields.fault ?? { kind: 'parsed', ask }
}

/** Compaction reads the whole context once more and writes a summary, both billed on top. */
function compacts(fields: FieldReader): boolean {
  const edits = fields.object('context_management')?.['edits'] ?? undefined
  if (edits !== undefined && !Array.isArray(edits)) fields.refuse('context_management.edits', 'must be an array.')
  const known = Array.isArray(edits) && edits.every(clears)
  return (edits !== undefined && !known) || fields.object('compaction') !== undefined
}

/** Edits that only take something out of the context; every other kind may cost a reading of it. */
function clears(edit: unknown): boolean {
  return isObject(edit) && typeof edit['type'] === 'string' && edit['type'].startsWith('clear_')
}

/** Interleaved thinking may spend a budget above `max_tokens`: the larger is the bound. */
function outputMaximum(fields: FieldReader): Pick<Ask, 'outputTokensMax' | 'outputTokensField' | 'outputTokensLeast'> {
  const given = fields.integer('max_tokens', { min: 1, max: OUTPUT_TOKENS_MAX })
  if (fields.value('max_tokens') === undefined) fields.refuse('max_tokens', 'is required: a whole number, 1 or more.')
  const thinking = fields.object('thinking')
  if (thinking !== undefined) fields.spellingOf(thinking, 'thinking.', THINKING_NAMES)
  const budget = thinking?.['budget_tokens'] ?? 0
  if (typeof budget !== 'number' || !Number.isSafeInteger(budget) || budget < 0) {
    fields.refuse('thinking.budget_tokens', 'must be a whole number, 0 or more.')
    return { outputTokensMax: given }
  }
  // The provider refuses a budget that is not below the maximum, and such a call is not made by lowering the maximum.
  const least = budget > 0 ? { outputTokensLeast: budget + 1 } : {}
  if (given === undefined || given >= budget) {
    return { outputTokensMax: given, outputTokensField: 'max_tokens', ...least }
  }
  return { outputTokensMax: budget, outputTokensField: 'thinking.budget_tokens', ...least }
}

/** Fast mode has a price list of its own, so it is a tier here. */
function serviceTier(fields: FieldReader): string | undefined {
  const tier = fields.oneOf('service_tier', SERVICE_TIERS)
  return fields.oneOf('speed', SPEEDS) === 'fast' ? 'fast' : tier
}

function textsOfBody(body: Uint8Array): readonly string[] {
  // Parsed again instead of kept: a tree held through every open stream would cost several times the body.
  const root = parseJsonBytes(body)
  if (!isObject(root)) return []
  return textsOf(root, payloadsOf(root))
}

function payloadsOf(root: JsonObject): ReadonlyMap<JsonObject, string> {
  const content = new Content()
  readMessages(new FieldReader(root), content)
  return content.payloads
}

export function forwardMessages(ask: Ask, wanted: Splice): Uint8Array {
  if (wanted.model === ask.model && wanted.outputTokensMax === undefined) return ask.body
  const object = scanObject(ask.body)
  if (object.kind === 'fault') throw new TypeError('forward: the body is not the object that was parsed')
  const edits: Edit[] = []
  if (wanted.model !== ask.model) edits.push(setMember(object, 'model', JSON.stringify(wanted.model)))
  if (wanted.outputTokensMax !== undefined) edits.push(setMember(object, 'max_tokens', String(wanted.outputTokensMax)))
  return splice(ask.body, edits)
}
