/**
 * Walks the messages of a chat request: refuses shapes nobody accepts, adds up media, and names what cannot be seen.
 */
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'
import type { Content } from './content.ts'
import { imagePayloadLength } from './content.ts'
import type { FieldReader } from './field-reader.ts'

const ROLES = ['system', 'developer', 'user', 'assistant', 'tool', 'function'] as const

/** Parts that are nothing but text of the body. */
const TEXT_PARTS: ReadonlySet<string> = new Set(['text', 'refusal'])

/** Members of a part or a message that decide what it costs. */
const MESSAGE_NAMES: ReadonlySet<string> = new Set(['role', 'content', 'audio'])
const PART_NAMES: ReadonlySet<string> = new Set(['type', 'text', 'image_url', 'input_audio', 'file'])

/** Members whose objects are text to the model, advice to the cache, or echoes of an answer that point back at it. */
const PLAIN_MEMBERS: ReadonlySet<string> = new Set([
  'content',
  'audio',
  'tool_calls',
  'function_call',
  'annotations',
  'reasoning',
  'reasoning_details',
  'provider_specific_fields',
  'prompt_cache_breakpoint',
  'cache_control',
])

/** Audio costs at most this many tokens a second by any published rule, and a second has at least this many bytes. */
const AUDIO_TOKENS_PER_SECOND_MAX = 32
const AUDIO_BYTES_PER_SECOND_MIN = 1000

export function readChatMessages(fields: FieldReader, content: Content): void {
  for (const [index, message] of fields.messages().entries()) {
    const at = `messages[${index}]`
    fields.spellingOf(message, `${at}.`, MESSAGE_NAMES)
    const role = message['role']
    if (typeof role !== 'string' || !ROLES.some((known) => known === role)) {
      fields.refuse(`${at}.role`, `must be one of ${ROLES.join(', ')}.`)
    }
    readContent(message['content'], `${at}.content`, fields, content)
    // Audio of an earlier answer is named by its id and read on the provider's side.
    if (isObject(message['audio'])) content.opaque.add('messages[].audio')
    readBeside(message, undefined, content)
  }
}

function readContent(value: unknown, at: string, fields: FieldReader, content: Content): void {
  if (value === undefined || value === null || typeof value === 'string') return
  if (!Array.isArray(value)) {
    fields.refuse(at, 'must be a string or an array of parts.')
    return
  }
  for (const [index, part] of fields.objects(value, at).entries()) {
    const type = part['type']
    fields.spellingOf(part, `${at}[${index}].`, PART_NAMES)
    if (typeof type === 'string') readPart(type, part, content)
    else fields.refuse(`${at}[${index}].type`, 'must be the name of a part, such as text.')
  }
}

function readPart(type: string, part: JsonObject, content: Content): void {
  readBeside(part, type, content)
  if (type === 'image_url') readImage(part['image_url'], content)
  else if (type === 'input_audio') readAudio(part['input_audio'], content)
  else if (!TEXT_PARTS.has(type)) {
    // Files become text and page images by rules of the provider; unknown parts by rules nobody here knows.
    content.opaque.add(`messages[].content[].${type}`)
    const file = part['file']
    if (type === 'file' && isObject(file) && typeof file['file_data'] === 'string') {
      content.payload(file, 'file_data', file['file_data'].length)
    }
  }
}

/** Media in another place than its own: a lenient reader may take it, and what it makes of it cannot be seen from here. */
function readBeside(object: JsonObject, read: string | undefined, content: Content): void {
  for (const [name, member] of Object.entries(object)) {
    const isPlain = name === read || member === null || typeof member !== 'object' || PLAIN_MEMBERS.has(name)
    if (!isPlain) content.opaque.add(`messages[].${name}`)
  }
}

function readImage(image: unknown, content: Content): void {
  content.images += 1
  if (!isObject(image) || typeof image['url'] !== 'string') return
  const length = imagePayloadLength(image['url'])
  if (length !== undefined) content.payload(image, 'url', length)
}

function readAudio(audio: unknown, content: Content): void {
  if (!isObject(audio) || typeof audio['data'] !== 'string') {
    content.opaque.add('messages[].content[].input_audio')
    return
  }
  const base64 = audio['data'].length
  const seconds = Math.ceil((base64 * 3) / 4 / AUDIO_BYTES_PER_SECOND_MIN)
  content.mediaTokensMax += seconds * AUDIO_TOKENS_PER_SECOND_MAX
  content.payload(audio, 'data', base64)
}
