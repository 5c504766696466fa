/**
 * What the content of a request adds up to: media whose bytes are not text, and whatever cannot be seen from here.
 */
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'

/** Gathers facts while a dialect walks the messages. */
export class Content {
  images = 0
  mediaTokensMax = 0
  /** Bytes of media payloads: they are in the body but never become text tokens. */
  mediaBytes = 0
  readonly opaque = new Set<string>()
  /** Where each payload is: the object that has it and the member's name. */
  readonly payloads = new Map<JsonObject, string>()

  /** Takes a payload out of the text. A character is at least one byte of the body, so this never takes too much. */
  payload(holder: JsonObject, member: string, length: number): void {
    this.mediaBytes += length
    this.payloads.set(holder, member)
  }
}

/** Bytes of base64 that a data URI of an image carries; undefined when the text is no such URI. */
export function imagePayloadLength(uri: string): number | undefined {
  // Only the head is searched: the payload can be megabytes.
  const head = uri.slice(0, DATA_URI_HEAD_MAX)
  const match = /^data:image\/[\w.+-]+(?:;[\w=.+-]+)*;base64,/i.exec(head)
  return match ? uri.length - match[0].length : undefined
}

/** Longest `data:image/...;base64,` head looked for. */
const DATA_URI_HEAD_MAX = 256

/**
 * Every text of a request as pieces: each string on its own, unescaped, and per item the keys, numbers and punctuation
 * around them. Together they are at least what a model is shown, so their token count is an upper bound.
 */
export function textsOf(root: JsonObject, payloads: ReadonlyMap<JsonObject, string>): readonly string[] {
  const pieces: string[] = []
  for (const [key, value] of Object.entries(root)) {
    for (const item of Array.isArray(value) ? value : [value]) {
      const structure = [key]
      collect(item, { pieces, structure, payloads })
      pieces.push(structure.join(''))
    }
  }
  return pieces
}

interface Collection {
  readonly pieces: string[]
  readonly structure: string[]
  readonly payloads: ReadonlyMap<JsonObject, string>
}

function collect(value: unknown, into: Collection): void {
  if (typeof value === 'string') {
    if (value !== '') into.pieces.push(value)
  } else if (Array.isArray(value)) {
    into.structure.push('[')
    for (const item of value) collect(item, into)
  } else if (isObject(value)) {
    const payload = into.payloads.get(value)
    for (const [key, member] of Object.entries(value)) {
      into.structure.push('{"', key, '":')
      if (key !== payload) collect(member, into)
    }
  } else {
    into.structure.push(String(value))
  }
}
