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

/** Results whose content is inline too, whatever the tool is called. */
const INLINE_RESULT = /_tool_result$/

export function readMessages(fields: FieldReader, content: Content): void {
  for (const [index, message] of fields.messages().entries()) {
    const at = `messages[${index}]`
    const role = message['role']
    if (typeof role !== 'string' || !ROLES.some((known) => known === role)) {
      fields.refuse(`${at}.role`, `must be one of ${ROLES.join(', ')}.`)
    }
    if (message['content'] === undefined) fields.refuse(`${at}.content`, 'is required.')
    readBlocks(message['content'], `${at}.content`, fields, content)
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
  if (type === 'image') readImage(block['source'], content)
  else if (type === 'document') readDocument(block['source'], { at, fields, content })
  else if (type === 'tool_result') readBlocks(block['content'], `${at}.content`, fields, content)
  else if (INLINE_RESULT.test(type)) readResult(block, content)
  else if (!TEXT_BLOCKS.has(type)) content.opaque.add(`messages[].content[].${type}`)
}

/** What a server tool brought back: text costs its bytes, anything with a source is more than can be seen here. */
function readResult(value: unknown, content: Content): void {
  if (Array.isArray(value)) {
    for (const item of value) readResult(item, content)
    return
  }
  if (!isObject(value)) return
  const { source, type, file_id: fileId } = value
  const isText = !isObject(source) || source['type'] === 'text' || source['type'] === 'content'
  if (!isText || fileId !== undefined || type === 'image') content.opaque.add('messages[].content[].*_tool_result')
  for (const member of Object.values(value)) readResult(member, content)
}

/** Inline, by URL or by file id: an image never costs more than the model's largest image. */
function readImage(source: unknown, content: Content): void {
  content.images += 1
  takePayload(source, content)
}

/** Plain text is text; a PDF costs its text and an image of each page, which only the provider can count. */
function readDocument(source: unknown, { at, fields, content }: Place): void {
  const type = isObject(source) ? source['type'] : undefined
  if (isObject(source) && type === 'content') readBlocks(source['content'], `${at}.source.content`, fields, content)
  else if (type !== 'text') {
    content.opaque.add('messages[].content[].document')
    takePayload(source, content)
  }
}

function takePayload(source: unknown, content: Content): void {
  if (!isObject(source) || source['type'] !== 'base64') return
  const data = source['data']
  if (typeof data === 'string') content.payload(source, 'data', data.length)
}
