/**
 * Reads a request body once, with everything refused on which two readers could disagree: invalid UTF-8, members named
 * twice (one reader takes the first, another the last: what was estimated would not be what is billed) and absurd depth.
 */
import { isUtf8 } from 'node:buffer'

import type { InvalidAsk } from '../domain/ask.ts'
import type { JsonObject } from './json-value.ts'
import { asBuffer, countMembers, isObject } from './json-value.ts'
import { CALLER_BOUNDS, JSON_DEPTH_MAX, JSON_SPACE_BYTES_MAX, JSON_VALUES_MAX, scanObject } from './json-members.ts'
import type { ScanFault, ScannedObject } from './json-members.ts'

export interface RequestBody {
  readonly kind: 'body'
  readonly root: JsonObject
  /** At least the UTF-8 bytes of the body and of its NFC form: some tokenizers normalise first. */
  readonly nfcBytes: number
}

/** Above this size a body with non-ASCII text is bounded instead of normalised, so that no body blocks the event loop. */
const NFC_EXACT_BYTES_MAX = 1024 * 1024

/** NFC makes UTF-8 at most three times as long (Unicode FAQ, normalization); ASCII it leaves alone. */
const NFC_GROWTH_MAX = 3

/**
 * More than 30 marks on one letter: text that is not in Stream-Safe Text Format (UAX #15, section 13). Normalising sorts
 * the marks of a letter in time that grows with the square of their number, so a hostile body could hold the event loop
 * for seconds. The pattern itself takes one step a character: no attempt starts inside a run of marks.
 */
const UNSAFE_RUN = /\P{M}\p{M}{31}/u

/** Below this size even the square is less than a millisecond, and not looking saves ordinary calls time. */
const ANY_RUN_BYTES_MAX = 2048

/** Key names that are safe to repeat to the caller. */
const PLAIN_KEY = /^\w{1,64}$/

/** Faults that are told before anything is parsed, because parsing is what they would make too dear. */
const EXCESS: Partial<Record<ScanFault['fault'], string>> = {
  too_deep: `The body is nested deeper than ${JSON_DEPTH_MAX} levels; flatten it.`,
  too_many: `The body has more than ${JSON_VALUES_MAX} values; send fewer.`,
  too_much_space: `The body has more than ${JSON_SPACE_BYTES_MAX} bytes of white space between its values; send it without.`,
}

export function invalid(field: string | undefined, message: string): InvalidAsk {
  return { kind: 'invalid', field, message }
}

/** Parses a body; `visit` is shown every object in it. */
export function readRequestBody(
  body: Uint8Array,
  visit: (object: JsonObject) => void = () => undefined,
): RequestBody | InvalidAsk {
  if (body.length === 0) return invalid(undefined, 'The body is empty; send a JSON object.')
  if (!isUtf8(body)) return invalid(undefined, 'The body is not valid UTF-8; encode the JSON as UTF-8.')
  const scan = scanObject(body, 0, CALLER_BOUNDS)
  const excess = scan.kind === 'fault' ? EXCESS[scan.fault] : undefined
  if (excess !== undefined) return invalid(undefined, excess)
  const text = asBuffer(body).toString('utf8')
  const parsed = parse(text)
  if ('kind' in parsed) return parsed
  const { root } = parsed
  if (!isObject(root) || scan.kind === 'fault') {
    return invalid(undefined, 'The body must be a JSON object.')
  }
  return (
    duplicateFault(scan, countMembers(root, visit)) ?? { kind: 'body', root, nfcBytes: nfcBytes(text, body.length) }
  )
}

function parse(text: string): { readonly root: unknown } | InvalidAsk {
  try {
    return { root: JSON.parse(text) }
  } catch (error) {
    // The parser's own message quotes the body; only the position in it is repeated.
    const position = error instanceof Error ? /position (\d+)/.exec(error.message)?.[1] : undefined
    const where = position === undefined ? '' : ` (at character ${position})`
    return invalid(undefined, `The body is not valid JSON${where}; send a JSON object.`)
  }
}

function duplicateFault(scan: ScannedObject, distinct: number): InvalidAsk | undefined {
  const seen = new Set<string>()
  for (const { key } of scan.members) {
    if (seen.has(key)) {
      const field = PLAIN_KEY.test(key) ? key : undefined
      return invalid(field, `${field ?? 'A field'} is given twice; give each field once.`)
    }
    seen.add(key)
  }
  if (scan.memberCount === distinct) return undefined
  return invalid(undefined, 'An object in the body names a member twice; name each member once.')
}

/** At least the UTF-8 bytes of the text and of its NFC form, in linear time; `bytes` is the size of its source. */
export function nfcBytes(text: string, bytes: number): number {
  if (text.length === bytes) return bytes
  if (isSafeToNormalize(text, bytes)) return Math.max(bytes, Buffer.byteLength(text.normalize('NFC'), 'utf8'))
  // Each non-ASCII byte is at most two per surplus byte: 2-, 3- and 4-byte characters have 1, 2 and 2 surplus bytes.
  const nonAscii = Math.min(bytes, 2 * (bytes - text.length))
  return bytes + (NFC_GROWTH_MAX - 1) * nonAscii
}

function isSafeToNormalize(text: string, bytes: number): boolean {
  return bytes <= ANY_RUN_BYTES_MAX || (bytes <= NFC_EXACT_BYTES_MAX && !UNSAFE_RUN.test(text))
}
