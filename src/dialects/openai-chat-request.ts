/**
 * Reads the body of `POST /v1/chat/completions` into an {@link Ask} and writes the bytes that go upstream.
 */
import type { Ask, InvalidAsk, ParsedAsk } from '../domain/ask.ts'
import type { Splice } from '../domain/dialect.ts'
import { Content, textsOf } from './content.ts'
import { FieldReader, INTEGER_MAX, OUTPUT_TOKENS_MAX } from './field-reader.ts'
import { scanObject, setMember, splice } from './json-members.ts'
import type { Edit, ScannedObject } from './json-members.ts'
import { isObject, parseJsonBytes } from './json-value.ts'
import type { JsonObject } from './json-value.ts'
import { readChatMessages } from './openai-content.ts'
import { readRequestBody } from './request-body.ts'

/** Most answers to one call, as the vendor's API has it. */
const CHOICES_MAX = 128

const SERVICE_TIERS = ['auto', 'default', 'flex', 'scale', 'priority', 'fast', 'ultrafast'] as const

/** Tools that the caller runs itself; every other type runs at the provider and costs more than its tokens. */
const CALLER_TOOLS: ReadonlySet<string> = new Set(['function', 'custom'])

/** Fields that bring in stored content of a size unknown here. */
const STORED_CONTENT = ['previous_response_id', 'conversation', 'prompt', 'container'] as const

export function parseChat(body: Uint8Array): ParsedAsk | InvalidAsk {
  const read = readRequestBody(body)
  if (read.kind === 'invalid') return read
  const fields = new FieldReader(read.root)
  const content = new Content()
  const model = fields.model()
  readChatMessages(fields, content)
  for (const name of STORED_CONTENT) if (fields.value(name) !== undefined) content.opaque.add(name)
  const cacheTtl = fields.object('prompt_cache_options')?.['ttl']
  const ask: Ask = {
    dialect: 'openai-chat',
    family: 'openai',
    operation: 'chat',
    model,
    stream: fields.boolean('stream') ?? false,
    body,
    textBytes: Math.max(0, read.nfcBytes - content.mediaBytes),
    images: content.images,
    mediaTokensMax: content.mediaTokensMax,
    outputTokensMax: outputTokensMax(fields),
    choices: fields.integer('n', { min: 1, max: CHOICES_MAX }) ?? 1,
    serviceTier: fields.oneOf('service_tier', SERVICE_TIERS),
    wantsStreamUsage: wantsStreamUsage(fields),
    longCacheWrites: typeof cacheTtl === 'string' && cacheTtl !== '30m',
    ...readTools(fields),
    opaque: [...content.opaque],
    otherModels: [],
    texts: () => textsOfBody(body),
  }
  checkShapes(fields)
  return fields.fault ?? { kind: 'parsed', ask }
}

/** Both names at once: which one counts is the provider's choice, so the larger is the bound. */
function outputTokensMax(fields: FieldReader): number | undefined {
  const bounds = { min: 1, max: OUTPUT_TOKENS_MAX }
  const given = [fields.integer('max_completion_tokens', bounds), fields.integer('max_tokens', bounds)]
  const known = given.filter((value) => value !== undefined)
  return known.length === 0 ? undefined : Math.max(...known)
}

function wantsStreamUsage(fields: FieldReader): boolean {
  const wanted = fields.object('stream_options')?.['include_usage']
  if (typeof wanted === 'boolean') return wanted
  if (wanted !== undefined && wanted !== null) fields.refuse('stream_options.include_usage', 'must be true or false.')
  return false
}

function readTools(fields: FieldReader): Pick<Ask, 'hasTools' | 'serverTools'> {
  const tools = fields.objects(fields.list('tools') ?? [], 'tools')
  const functions = fields.list('functions') ?? []
  const callsMax = fields.integer('max_tool_calls', { min: 0, max: INTEGER_MAX })
  const names = tools.flatMap(({ type }, index) => {
    if (typeof type === 'string') return CALLER_TOOLS.has(type) ? [] : [type]
    fields.refuse(`tools[${index}].type`, 'must be the name of a kind of tool, such as function.')
    return []
  })
  if (fields.object('web_search_options')) names.push('web_search')
  return {
    hasTools: tools.length + functions.length > 0,
    serverTools: names.map((name) => ({ name, callsMax })),
  }
}

/** Fields whose shape every reader agrees on; a wrong one would be refused upstream after money was held for it. */
function checkShapes(fields: FieldReader): void {
  fields.object('response_format')
  fields.boolean('store')
  fields.boolean('logprobs')
  fields.boolean('parallel_tool_calls')
}

function textsOfBody(body: Uint8Array): readonly string[] {
  // Parsed again instead of kept: a tree held through every open stream would cost several times the body.
  const root = parseJsonBytes(body)
  if (!isObject(root)) return []
  return textsOf(root, payloadsOf(root))
}

function payloadsOf(root: JsonObject): ReadonlyMap<JsonObject, string> {
  const content = new Content()
  readChatMessages(new FieldReader(root), content)
  return content.payloads
}

export function forwardChat(ask: Ask, wanted: Splice): Uint8Array {
  const wantsUsage = wanted.includeUsage && ask.stream && !ask.wantsStreamUsage
  if (wanted.model === ask.model && wanted.outputTokensMax === undefined && !wantsUsage) return ask.body
  const object = scanObject(ask.body)
  if (object.kind === 'fault') throw new TypeError('forward: the body is not the object that was parsed')
  const edits: Edit[] = []
  if (wanted.model !== ask.model) edits.push(setMember(object, 'model', JSON.stringify(wanted.model)))
  if (wanted.outputTokensMax !== undefined) {
    edits.push(setMember(object, 'max_completion_tokens', String(wanted.outputTokensMax)))
  }
  if (wantsUsage) edits.push(includeUsage(ask.body, object))
  return splice(ask.body, edits)
}

/** Sets `stream_options.include_usage` and keeps the caller's other stream options, such as `include_obfuscation`. */
function includeUsage(body: Uint8Array, object: ScannedObject): Edit {
  const options = object.members.find((member) => member.key === 'stream_options')
  const inner = options ? scanObject(body, options.valueStart) : undefined
  if (inner?.kind === 'object') return setMember(inner, 'include_usage', 'true')
  return setMember(object, 'stream_options', '{"include_usage":true}')
}
