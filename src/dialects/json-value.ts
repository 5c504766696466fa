/**
 * Parsed JSON of unknown shape.
 */

export type JsonObject = { readonly [key: string]: unknown }

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** `JSON.parse` that answers undefined for what is not JSON. */
export function parseJson(text: string): unknown {
  try {
    const value: unknown = JSON.parse(text)
    return value
  } catch {
    return undefined
  }
}

/** Parses the bytes from `start` up to `end`. */
export function parseJsonBytes(bytes: Uint8Array, start = 0, end = bytes.length): unknown {
  return parseJson(asBuffer(bytes).toString('utf8', start, end))
}

/** The same memory as a Buffer, whose searches are native. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
}

/**
 * Counts the members of every object in a tree and shows each object to `visit`. Depth is bounded by the scan that
 * precedes every parse, so the recursion is too.
 */
export function countMembers(value: unknown, visit: (object: JsonObject) => void): number {
  if (Array.isArray(value)) {
    let count = 0
    for (const item of value) count += typeof item === 'object' ? countMembers(item, visit) : 0
    return count
  }
  if (!isObject(value)) return 0
  visit(value)
  const keys = Object.keys(value)
  let count = keys.length
  for (const key of keys) {
    const member = value[key]
    if (typeof member === 'object') count += countMembers(member, visit)
  }
  return count
}
