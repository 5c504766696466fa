/**
 * The generated text of a stream, kept as the JSON string bytes it came in and decoded only when it must be counted.
 */
import { isJsonSpace, stringEnd } from './json-members.ts'
import { isObject, parseJson } from './json-value.ts'

/** Text kept per stream for counting; what comes after it is counted as one token a byte, which is never too few. */
export const OUTPUT_RETAINED_MAX = 1024 * 1024

/** A typical answer fits in this; it doubles up to the bound. */
const FIRST_CAPACITY = 2048

/** A token is a few bytes: copying those here is cheaper than calling the native copy. */
const COPIED_IN_PLACE_MAX = 24

const QUOTE = 0x22
const COLON = 0x3a

export class OutputText {
  #buffer: Buffer | undefined
  #length = 0
  #beyond = 0

  /** Adds the inside of a JSON string: bytes `start` to `end`, without its quotes. */
  add(bytes: Buffer, start: number, end: number): void {
    const room = Math.min(end - start, OUTPUT_RETAINED_MAX - this.#length)
    // A string is kept whole or not at all: half an escape could not be decoded.
    if (room < end - start) {
      this.#beyond += end - start
      return
    }
    const buffer = this.#roomFor(room)
    if (room > COPIED_IN_PLACE_MAX) bytes.copy(buffer, this.#length, start, end)
    else for (let index = 0; index < room; index += 1) buffer[this.#length + index] = bytes[start + index] ?? 0
    this.#length += room
  }

  /** Grows with every string that is added: two readings tell whether there was one in between. */
  get bytesSeen(): number {
    return this.#length + this.#beyond
  }

  texts(): readonly string[] {
    if (this.#buffer === undefined) return []
    const raw = this.#buffer.toString('utf8', 0, this.#length)
    const text = parseJson(`"${raw}"`)
    return [typeof text === 'string' ? text : raw]
  }

  bytesBeyond(): number {
    return this.#beyond
  }

  #roomFor(bytes: number): Buffer {
    const buffer = this.#buffer
    if (buffer !== undefined && buffer.length >= this.#length + bytes) return buffer
    let capacity = buffer?.length ?? FIRST_CAPACITY
    while (capacity < this.#length + bytes) capacity *= 2
    const grown = Buffer.allocUnsafe(capacity)
    buffer?.copy(grown, 0, 0, this.#length)
    this.#buffer = grown
    return grown
  }
}

/**
 * Gives every string value inside the JSON value at `from` to `output`, except names of things (`id`, `role`, `type`,
 * `signature`). Answers the offset after the value.
 */
export function collectOutput(bytes: Buffer, from: number, output: OutputText): number {
  let depth = 0
  let key = -1
  let keyEnd = -1
  let at = from
  while (at < bytes.length) {
    const byte = bytes[at]
    if (byte === QUOTE) {
      const end = stringEnd(bytes, at)
      if (end < 0) return bytes.length
      let after = end
      while (isJsonSpace(bytes[after])) after += 1
      if (bytes[after] === COLON) {
        key = at + 1
        keyEnd = end - 1
      } else if (end - at > 2 && !namesThing(bytes, key, keyEnd)) {
        output.add(bytes, at + 1, end - 1)
      }
      at = after
      continue
    }
    if (byte === 0x7b || byte === 0x5b) depth += 1
    else if (byte === 0x7d || byte === 0x5d) depth -= 1
    at += 1
    if (depth <= 0) break
  }
  return at
}

/** Members that name things; all other strings of an answer are generated, and billed. */
const NOT_OUTPUT: ReadonlySet<string> = new Set(['id', 'role', 'type', 'signature', 'tool_use_id'])

const NAME_LENGTHS: ReadonlySet<number> = new Set([...NOT_OUTPUT].map((name) => name.length))

function namesThing(bytes: Buffer, start: number, end: number): boolean {
  return start >= 0 && NAME_LENGTHS.has(end - start) && NOT_OUTPUT.has(bytes.toString('latin1', start, end))
}

/** Texts of a complete answer: every string under the keys that carry generated output. */
export function outputStrings(value: unknown, into: string[] = [], key = ''): string[] {
  if (typeof value === 'string') {
    if (value !== '' && !NOT_OUTPUT.has(key)) into.push(value)
  } else if (Array.isArray(value)) {
    for (const item of value) outputStrings(item, into, key)
  } else if (isObject(value)) {
    for (const [name, member] of Object.entries(value)) outputStrings(member, into, name)
  }
  return into
}
