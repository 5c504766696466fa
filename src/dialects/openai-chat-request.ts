/**
 * Reads the body of `POST /v1/chat/completions` into an {@link Ask} and writes the bytes that go upstream.
 */
import type { Ask, InvalidAsk, ParsedAsk } from '../domain/ask.ts'
import type { Splice } from '../domain/dialect.ts'
import { Content, textsOf } from './content.ts'
import { FieldReader, INTEGER_MAX, OUTPUT_TOKENS_MAX } from './field-reader.ts'
import { setMember, splice } from './json-edit.ts'
import type { Edit } from './json-edit.ts'
import { scanObject } from './json-members.ts'
import type { ScannedObject } from './json-members.ts'
import { isObject, parseJsonBytes } from './json-value.ts'
import type { JsonObject } from './json-value.ts'
import { readChatMessages } from './openai-content.ts'
import { nfcBytes, readRequestBody } from './request-body.ts'

/** Most answers to one call, as the vendor's API has it. */
const CHOICES_MAX = 128

const SERVICE_TIERS = ['auto', 'default', 'flex', 'scale', 'priority', 'fast', 'ultrafast'] as const

/** Tools that the caller runs itself; every other type runs at the provider and costs more than its tokens. */
const CALLER_TOOLS: ReadonlySet<string> = new Set(['function', 'custom'])

const MAXIMUM_NAMES = ['max_completion_tokens', 'max_tokens'] as const

/** Fields that bring in stored content of a size unknown here. */
const STORED_CONTENT = ['previous_response_id', 'conversation', 'prompt', 'container'] as const

/** Fields that are acted on here or may cost something. */
const FIELD_NAMES: ReadonlySet<string> = new Set([
  'model',
  'messages',
  'stream',
  'stream_options',
  'max_tokens',
  'max_completion_tokens',
  'n',
  'service_tier',
  'tools',
  'functions',
  'max_tool_calls',
  'web_search_options',
  'prediction',
  'modalities',
  'audio',
  'store',
  'moderation',
  'prompt_cache_options',
  'prompt_cache_retention',
  'response_format',
  'logprobs',
  'extra_body',
  ...STORED_CONTENT,
])

const TOOL_NAMES: ReadonlySet<string> = new Set(['type'])
const STREAM_NAMES: ReadonlySet<string> = new Set(['include_usage'])

/** The lifetime of a cache entry that has a price; longer ones are dearer by an amount no meter here knows. */
const CACHE_TTL = '30m'

/** Moderation by these is free of charge. */
const FREE_MODERATION = /^omni-moderation-[\w.-]{1,64}$/

export function parseChat(body: Uint8Array): ParsedAsk | InvalidAsk {
  let isCacheLong = false
  const read = readRequestBody(body, ({ prompt_cache_breakpoint: mark }) => {
    // Wherever a breakpoint stands.
    if (isObject(mark) && !isShortCache(mark)) isCacheLong = true
  })
  if (read.kind === 'invalid') return read
  const fields = new FieldReader(read.root)
  const content = new Content()
  fields.spelling(FIELD_NAMES)
  const model = fields.model()
  readChatMessages(fields, content)
  for (const name of STORED_CONTENT) if (fields.value(name) !== undefined) content.opaque.add(name)
  if (isCacheLong) fields.refuse('prompt_cache_breakpoint.ttl', CACHE_TTL_FIX)
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
    ...outputMaximum(fields),
    predictedBytes: predictedBytes(fields),
    choices: fields.integer('n', { min: 1, max: CHOICES_MAX }) ?? 1,
    serviceTier: fields.oneOf('service_tier', SERVICE_TIERS),
    wantsStreamUsage: wantsStreamUsage(fields),
    longCacheWrites: false,
    ...readTools(fields),
    opaque: [...content.opaque],
    otherModels: [],
    texts: () => textsOfBody(body),
  }
  checkShapes(fields)
  refuseUnpriced(fields)
  return fields.fault ?? { kind: 'parsed', ask }
}

const CACHE_TTL_FIX = `must be ${CACHE_TTL}: other lifetimes have no price here.`

function isShortCache({ ttl }: JsonObject): boolean {
  return ttl === undefined || ttl === null || ttl === CACHE_TTL
}

/** Both names at once: which one counts is the provider's choice, so the larger is the bound. */
function outputMaximum(fields: FieldReader): Pick<Ask, 'outputTokensMax' | 'outputTokensField'> {
  const bounds = { min: 1, max: OUTPUT_TOKENS_MAX }
  const [newer, older] = [fields.integer('max_completion_tokens', bounds), fields.integer('max_tokens', bounds)]
  if (older !== undefined && older > (newer ?? 0)) return { outputTokensMax: older, outputTokensField: 'max_tokens' }
  return { outputTokensMax: newer, outputTokensField: 'max_completion_tokens' }
}

/** Predicted text that the answer does not have is billed as output. */
function predictedBytes(fields: FieldReader): number | undefined {
  const prediction = fields.object('prediction')
  if (prediction === undefined) return undefined
  const text = JSON.stringify(prediction)
  return nfcBytes(text, Buffer.byteLength(text))
}

function wantsStreamUsage(fields: FieldReader): boolean {
  const options = fields.object('stream_options')
  if (options !== undefined) fields.spellingOf(options, 'stream_options.', STREAM_NAMES)
  const wanted = options?.['include_usage']
  if (typeof wanted === 'boolean') return wanted
  if (wanted !== undefined && wanted !== null) fields.refuse('stream_options.include_usage', 'must be true or false.')
  return false
}

function readTools(fields: FieldReader): Pick<Ask, 'hasTools' | 'serverTools'> {
  const tools = fields.objects(fields.list('tools') ?? [], 'tools')
  for (const [index, tool] of tools.entries()) fields.spellingOf(tool, `tools[${index}].`, TOOL_NAMES)
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

/** Fields that make a call dearer by a meter that is not here. */
function refuseUnpriced(fields: FieldReader): void {
  const modalities = fields.list('modalities') ?? []
  if (modalities.some((modality) => modality !== 'text')) {
    fields.refuse('modalities', 'must be ["text"]: other output has no price here.')
  }
  if (fields.value('audio') !== undefined) fields.refuse('audio', 'must be left out: audio output has no price here.')
  const cache = fields.object('prompt_cache_options')
  if (cache !== undefined && !isShortCache(cache)) fields.refuse('prompt_cache_options.ttl', CACHE_TTL_FIX)
  const moderation = fields.object('moderation')
  if (moderation !== undefined && !FREE_MODERATION.test(String(moderation['model']))) {
    fields.refuse('moderation.model', 'must be omni-moderation-latest: other models have no price here.')
  }
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
  if (wanted.outputTokensMax !== undefined) edits.push(...setMaximum(ask.body, object, wanted.outputTokensMax))
  if (wantsUsage) edits.push(includeUsage(ask.body, object))
  return splice(ask.body, edits)
}

/**
 * The maximum goes where the caller put one, since older models know only the older name, and newer ones only the newer.
 * Where it gave both, which one counts is the provider's choice: neither is raised.
 */
function setMaximum(body: Uint8Array, object: ScannedObject, tokens: number): readonly Edit[] {
  const edits = MAXIMUM_NAMES.flatMap((key) => {
    const member = object.members.find((candidate) => candidate.key === key)
    if (member === undefined) return []
    const given: unknown = parseJsonBytes(body, member.valueStart, member.valueEnd)
    return typeof given === 'number' ? [setMember(object, key, String(Math.min(given, tokens)))] : []
  })
  return edits.length > 0 ? edits : [setMember(object, 'max_completion_tokens', String(tokens))]
}

/** Sets `stream_options.include_usage` and keeps the caller's other stream options, such as `include_obfuscation`. */
function includeUsage(body: Uint8Array, object: ScannedObject): Edit {
  const options = object.members.find((member) => member.key === 'stream_options')
  const inner = options ? scanObject(body, options.valueStart) : undefined
  if (inner?.kind === 'object') return setMember(inner, 'include_usage', 'true')
  return setMember(object, 'stream_options', '{"include_usage":true}')
}
