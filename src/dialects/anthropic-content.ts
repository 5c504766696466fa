/**
 * Walks the blocks of a Messages request: refuses shapes nobody accepts, adds up media, and names what cannot be seen.
 */
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'
import type { Content } from './content.ts'
import type { FieldReader } from './field-reader.ts'

const ROLES = ['user', 'assistant', 'system'] as const

/** Blocks that are nothing but text of the body; results of server tools come back inline, sealed or not. */
const TEXT_BLOCKS: ReadonlySet<string> = new Set([
  'text',
  'thinking',
  'redacted_thinking',
  'tool_use',
  'server_tool_use',
  'mcp_tool_use',
  'search_result',
  'compaction',
])

/** Results of server tools, whatever the tool is called, and what stands inside them. */
const INLINE_RESULT = /_(?:result|output|error)$/

/** Further kinds of objects inside a block that bring nothing in. */
const INNER_TYPES: ReadonlySet<string> = new Set(['content', 'ephemeral'])

/** Members whose objects are data that the model reads as text, whatever they look like, or point back at it. */
const DATA_MEMBERS: ReadonlySet<string> = new Set(['input', 'citations', 'caller'])

/** Members that decide what a block costs. */
const MESSAGE_NAMES: ReadonlySet<string> = new Set(['role', 'content'])
const BLOCK_NAMES: ReadonlySet<string> = new Set(['type', 'source', 'content', 'file_id', 'cache_control'])

export function readMessages(fields: FieldReader, content: Content): void {
  for (const [index, message] of fields.messages().entries()) {
    const at = `messages[${index}]`
    fields.spellingOf(message, `${at}.`, MESSAGE_NAMES)
    const role = message['role']
    if (typeof role !== 'string' || !ROLES.some((known) => known === role)) {
      fields.refuse(`${at}.role`, `must be one of ${ROLES.join(', ')}.`)
    }
    if (message['content'] === undefined) fields.refuse(`${at}.content`, 'is required.')
    readBlocks(message['content'], `${at}.content`, fields, content)
    readInside(message, 'content', content)
  }
  readBlocks(fields.value('system'), 'system', fields, content)
}

function readBlocks(value: unknown, at: string, fields: FieldReader, content: Content): void {
  if (value === undefined || value === null || typeof value === 'string') return
  if (!Array.isArray(value)) {
    fields.refuse(at, 'must be a string or an array of content blocks.')
    return
  }
  for (const [index, block] of fields.objects(value, at).entries()) {
    const type = block['type']
    fields.spellingOf(block, `${at}[${index}].`, BLOCK_NAMES)
    if (typeof type === 'string') readBlock(type, block, { at: `${at}[${index}]`, fields, content })
    else fields.refuse(`${at}[${index}].type`, 'must be the name of a block, such as text.')
  }
}

interface Place {
  readonly at: string
  readonly fields: FieldReader
  readonly content: Content
}

function readBlock(type: string, block: JsonObject, { at, fields, content }: Place): void {
  switch (type) {
    case 'image':
      readImage(block['source'], content)
      return readInside(block, 'source', content)
    case 'document':
      readDocument(block['source'], { at, fields, content })
      return readInside(block, 'source', content)
    case 'tool_result':
      readBlocks(block['content'], `${at}.content`, fields, content)
      return readInside(block, 'content', content)
    default:
      if (isInline(type)) readInside(block, undefined, content)
      else content.opaque.add(`messages[].content[].${type}`)
  }
}

function isInline(type: string): boolean {
  return TEXT_BLOCKS.has(type) || INLINE_RESULT.test(type)
}

/**
 * Looks through everything in an object but the member that was `read`. What is not known to be text (an image or a
 * document that a server tool brought back, a file by its id, kinds yet to come) cannot be seen from here. Its bytes stay
 * in the text: a reader may take it for that.
 */
function readInside(object: JsonObject, read: string | undefined, content: Content): void {
  for (const name of Object.keys(object)) {
    const member = object[name]
    if (name !== read && typeof member === 'object' && !DATA_MEMBERS.has(name)) readHidden(member, name, content)
  }
  if (typeof object['file_id'] === 'string') content.opaque.add('messages[]..file_id')
}

function readHidden(value: unknown, name: string, content: Content): void {
  if (Array.isArray(value)) {
    for (const item of value) readHidden(item, name, content)
  } else if (isObject(value)) {
    if (!isText(value, name)) content.opaque.add(`messages[]..${name}`)
    readInside(value, undefined, content)
  }
}

function isText(value: JsonObject, name: string): boolean {
  const { type } = value
  if (type === 'document') return isObject(value['source'])
  if (typeof type === 'string') return isInline(type) || INNER_TYPES.has(type)
  return name !== 'source'
}

/** Inline, by URL or by file id: an image never costs more than the model's largest image. */
function readImage(source: unknown, content: Content): void {
  content.images += 1
  takePayload(source, content)
}

/** Plain text is text; a PDF costs its text and an image of each page, which only the provider can count. */
function readDocument(source: unknown, { at, fields, content }: Place): void {
  const type = isObject(source) ? source['type'] : undefined
  if (isObject(source) && type === 'content') {
    readBlocks(source['content'], `${at}.source.content`, fields, content)
    readInside(source, 'content', content)
  } else if (isObject(source) && type === 'text') {
    readInside(source, undefined, content)
  } else {
    content.opaque.add('messages[].content[].document')
    takePayload(source, content)
  }
}

function takePayload(source: unknown, content: Content): void {
  if (!isObject(source) || source['type'] !== 'base64') return
  const data = source['data']
  if (typeof data === 'string') content.payload(source, 'data', data.length)
}
