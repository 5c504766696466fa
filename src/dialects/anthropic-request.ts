/**
 * Reads the body of `POST /v1/messages` into an {@link Ask} and writes the bytes that go upstream.
 */
import type { Ask, InvalidAsk, ParsedAsk } from '../domain/ask.ts'
import type { Splice } from '../domain/dialect.ts'
import { readMessages } from './anthropic-content.ts'
import { readTools } from './anthropic-tools.ts'
import { Content, textsOf } from './content.ts'
import { FieldReader, OUTPUT_TOKENS_MAX } from './field-reader.ts'
import { scanObject, setMember, splice } from './json-members.ts'
import type { Edit } from './json-members.ts'
import { isObject, parseJsonBytes } from './json-value.ts'
import type { JsonObject } from './json-value.ts'
import { readRequestBody } from './request-body.ts'

const SERVICE_TIERS = ['auto', 'standard_only'] as const
const SPEEDS = ['standard', 'fast'] as const

/** Fields that bring in stored content of a size unknown here. */
const STORED_CONTENT = ['container', 'thread', 'previous_message_id'] as const

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
  const model = fields.model()
  readMessages(fields, content)
  readStored(fields, content)
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
    outputTokensMax: outputTokensMax(fields),
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

function readStored(fields: FieldReader, content: Content): void {
  for (const name of STORED_CONTENT) if (fields.value(name) !== undefined) content.opaque.add(name)
  const edits = fields.object('context_management')?.['edits']
  // Compaction reads the whole context once more and writes a summary, both billed on top.
  if (Array.isArray(edits) && edits.some(compacts)) content.opaque.add('context_management.edits')
}

function compacts(edit: unknown): boolean {
  return isObject(edit) && String(edit['type']).startsWith('compact')
}

/** Interleaved thinking may spend a budget above `max_tokens`: the larger is the bound. */
function outputTokensMax(fields: FieldReader): number | undefined {
  const given = fields.integer('max_tokens', { min: 1, max: OUTPUT_TOKENS_MAX })
  if (fields.value('max_tokens') === undefined) fields.refuse('max_tokens', 'is required: a whole number, 1 or more.')
  const budget = fields.object('thinking')?.['budget_tokens'] ?? undefined
  if (given === undefined || budget === undefined) return given
  if (typeof budget === 'number' && Number.isSafeInteger(budget) && budget >= 0) return Math.max(given, budget)
  return fields.refuse('thinking.budget_tokens', 'must be a whole number, 0 or more.')
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
