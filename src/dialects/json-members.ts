/**
 * Finds the members of a JSON object in its bytes, so that single values can be replaced while every other byte of the
 * caller's body stays as it was: re-serialising would change 20-digit integers, spacing and order.
 *
 * One pass, no recursion, each byte looked at once or twice. It finds offsets and does not validate: `JSON.parse` of the
 * same bytes decides whether they are JSON, and for what is JSON the offsets are exact.
 */

import { asBuffer } from './json-value.ts'

export interface Member {
  /** The key, unescaped. */
  readonly key: string
  /** Offset of the key's opening quote. */
  readonly keyStart: number
  /** Offset of the value's first byte. */
  readonly valueStart: number
  /** Offset after the value's last byte. */
  readonly valueEnd: number
}

export interface ScannedObject {
  readonly kind: 'object'
  /** Offset of `{`. */
  readonly start: number
  /** Offset after `}`. */
  readonly end: number
  readonly members: readonly Member[]
  /** Members of this object and of every object inside it: a parsed tree with fewer has lost duplicates. */
  readonly memberCount: number
}

export interface ScanFault {
  readonly kind: 'fault'
  readonly fault: 'not_an_object' | 'too_deep' | 'too_many' | 'too_much_space' | 'malformed'
}

/** What one scan takes at most; without bounds the bytes themselves are the bound. */
export interface ScanBounds {
  readonly valuesMax: number
  readonly spaceBytesMax: number
}

/** Deepest nesting accepted: far above any real request, far below what exhausts a recursive reader further on. */
export const JSON_DEPTH_MAX = 128

/**
 * Most values accepted of a caller. Real requests have thousands; a parser needs a tenth of a second for a million small
 * ones, and the whole process waits for it. An answer may have more (log probabilities do): it was paid for, and its
 * usage must be found however long it is.
 */
export const JSON_VALUES_MAX = 200_000

/** Most white space accepted of a caller, strings apart: generous for an indented body, too little to wait for. */
export const JSON_SPACE_BYTES_MAX = 1024 * 1024

/** Bounds of a body that a caller sent. */
export const CALLER_BOUNDS: ScanBounds = { valuesMax: JSON_VALUES_MAX, spaceBytesMax: JSON_SPACE_BYTES_MAX }

/** Most members of the outermost object, whoever sent it: each one is kept in memory. */
const MEMBERS_MAX = JSON_VALUES_MAX

const NO_BOUNDS: ScanBounds = { valuesMax: Infinity, spaceBytesMax: Infinity }

/** So many bytes of a string are walked before a native search is tried, which pays only on long plain text. */
const WALKED_BYTES = 64

/** Where searches keep ending at escaped quotes close by, up to so many bytes are walked before the next one. */
const WALKED_BYTES_MAX = 64 * 1024

const QUOTE = 0x22
const BACKSLASH = 0x5c
const OPEN_BRACE = 0x7b
const OPEN_BRACKET = 0x5b
const CLOSE_BRACE = 0x7d
const CLOSE_BRACKET = 0x5d
const COLON = 0x3a
const COMMA = 0x2c

/** Space, tab, line feed, carriage return: the white space of RFC 8259, section 2. */
export function isJsonSpace(byte: number | undefined): boolean {
  return byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09
}

/** Scans the object that starts at or after `from` (white space before it is skipped). */
export function scanObject(bytes: Uint8Array, from = 0, bounds: ScanBounds = NO_BOUNDS): ScannedObject | ScanFault {
  const start = spaceEnd(bytes, from)
  if (start - from > bounds.spaceBytesMax) return { kind: 'fault', fault: 'too_much_space' }
  if (bytes[start] !== OPEN_BRACE) return { kind: 'fault', fault: 'not_an_object' }
  return new Scan(bytes, start, bounds).run()
}

/** Offset of the first byte at or after `from` that is not white space. */
function spaceEnd(bytes: Uint8Array, from: number): number {
  let at = from
  while (isJsonSpace(bytes[at])) at += 1
  return at
}

/** State of one scan. Only members of the outermost object (depth 1) are collected. */
class Scan {
  readonly #bytes: Buffer
  readonly #start: number
  readonly #bounds: ScanBounds
  readonly #members: Member[] = []
  #depth = 1
  #colons = 0
  #commas = 0
  #spaceBytes = 0
  #keyStart = -1
  #keyEnd = -1
  #afterColon = false
  #valueStart = -1
  /** Offset after the last byte that was not white space. */
  #last = -1

  constructor(bytes: Uint8Array, start: number, bounds: ScanBounds) {
    this.#bytes = asBuffer(bytes)
    this.#start = start
    this.#bounds = bounds
  }

  run(): ScannedObject | ScanFault {
    const bytes = this.#bytes
    for (let at = this.#start + 1; at < bytes.length;) {
      const byte = bytes[at]
      if (byte === QUOTE) {
        const end = stringEnd(bytes, at)
        if (end < 0) break
        this.#string(at, end)
        at = end
        continue
      }
      const isSpace = isJsonSpace(byte)
      const end = isSpace ? spaceEnd(bytes, at + 1) : at + 1
      const fault = isSpace ? this.#space(end - at) : this.#byte(byte, at)
      if (fault !== undefined) return { kind: 'fault', fault }
      if (this.#depth === 0) return this.#done(end)
      at = end
    }
    return { kind: 'fault', fault: 'malformed' }
  }

  #string(start: number, end: number): void {
    if (this.#depth === 1) {
      if (this.#afterColon) this.#value(start)
      else if (this.#keyStart < 0) {
        this.#keyStart = start
        this.#keyEnd = end
      }
    }
    this.#last = end
  }

  #space(bytes: number): ScanFault['fault'] | undefined {
    this.#spaceBytes += bytes
    return this.#spaceBytes > this.#bounds.spaceBytesMax ? 'too_much_space' : undefined
  }

  #byte(byte: number | undefined, at: number): ScanFault['fault'] | undefined {
    if (byte === OPEN_BRACE || byte === OPEN_BRACKET) {
      this.#value(at)
      this.#depth += 1
      if (this.#depth > JSON_DEPTH_MAX) return 'too_deep'
    } else if (byte === CLOSE_BRACE || byte === CLOSE_BRACKET) {
      this.#depth -= 1
      if (this.#depth === 0) return this.#close(true)
    } else if (byte === COLON) {
      this.#colons += 1
      if (this.#depth === 1) this.#afterColon = true
      return undefined
    } else if (byte === COMMA) {
      this.#commas += 1
      if (this.#commas > this.#bounds.valuesMax) return 'too_many'
      return this.#depth === 1 ? this.#close(false) : undefined
    } else {
      this.#value(at)
    }
    this.#last = at + 1
    return undefined
  }

  #value(at: number): void {
    if (this.#depth === 1 && this.#afterColon && this.#valueStart < 0) this.#valueStart = at
  }

  #close(last: boolean): ScanFault['fault'] | undefined {
    if (this.#keyStart < 0 && last && this.#members.length === 0) return undefined
    const key = this.#keyStart < 0 ? undefined : unquote(this.#bytes, this.#keyStart, this.#keyEnd)
    if (key === undefined || this.#valueStart < 0) return 'malformed'
    if (this.#members.length >= MEMBERS_MAX) return 'too_many'
    this.#members.push({ key, keyStart: this.#keyStart, valueStart: this.#valueStart, valueEnd: this.#last })
    this.#keyStart = -1
    this.#valueStart = -1
    this.#afterColon = false
    return undefined
  }

  #done(end: number): ScannedObject {
    return { kind: 'object', start: this.#start, end, members: this.#members, memberCount: this.#colons }
  }
}

/** Offset after the closing quote of the string that opens at `start`, or -1 when it never closes. */
export function stringEnd(bytes: Uint8Array, start: number): number {
  let at = start + 1
  let walked = WALKED_BYTES
  for (;;) {
    const stop = Math.min(at + walked, bytes.length)
    while (at < stop) {
      const byte = bytes[at]
      if (byte === QUOTE) return at + 1
      at += byte === BACKSLASH ? 2 : 1
    }
    const quote = bytes.indexOf(QUOTE, at)
    if (quote < 0) return -1
    let before = quote
    while (before > at && bytes[before - 1] === BACKSLASH) before -= 1
    if ((quote - before) % 2 === 0) return quote + 1
    walked = quote - at < WALKED_BYTES ? Math.min(walked * 2, WALKED_BYTES_MAX) : WALKED_BYTES
    at = quote + 1
  }
}

/** The key between the quotes at `start` and before `end`. */
function unquote(bytes: Buffer, start: number, end: number): string | undefined {
  const text = bytes.toString('utf8', start + 1, end - 1)
  if (!text.includes('\\')) return text
  try {
    const key: unknown = JSON.parse(`"${text}"`)
    return typeof key === 'string' ? key : undefined
  } catch {
    return undefined
  }
}
