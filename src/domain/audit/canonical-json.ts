/**
 * RFC 8785 (JCS) for the values that records and policies are made of: one value has one text, so a hash of the text is a
 * hash of the value. Numbers are integers below 2^53 because other languages print floats differently and money never is
 * one; a value outside the subset is a defect of the caller and throws, naming the place.
 */

/** Deeper than any record or policy; ends a cycle before the stack does. */
const MAX_DEPTH = 64

/** Text that is canonical JSON already: what thousands of records have in common is written once. */
export class CanonicalText {
  readonly text: string

  constructor(text: string) {
    this.text = text
  }
}

/** `path` names the value in errors. */
export function canonicalJson(value: unknown, path = '$'): string {
  return isCanonical(value, 0) ? JSON.stringify(value) : textOf(value, path, 0)
}

/**
 * Whether JSON.stringify gives the canonical text as it stands: keys in order, no value outside the subset. Looking costs
 * a fraction of writing the text here, and whoever writes much keeps its members in order. It walks keys as JSON.stringify
 * does (numbers first, then by insertion), so keys that ascend here ascend in the text.
 */
function isCanonical(value: unknown, depth: number): boolean {
  if (typeof value === 'string') return value.isWellFormed()
  if (typeof value === 'number') return Number.isSafeInteger(value)
  if (typeof value === 'boolean' || value === null) return true
  if (typeof value !== 'object' || depth > MAX_DEPTH) return false
  return Array.isArray(value) ? hasCanonicalItems(value, depth) : hasCanonicalMembers(value, depth)
}

function hasCanonicalItems(values: readonly unknown[], depth: number): boolean {
  for (let i = 0; i < values.length; i += 1) {
    if (!isCanonical(values[i], depth + 1)) return false
  }
  return true
}

function hasCanonicalMembers(value: object, depth: number): boolean {
  if (!isPlain(value)) return false
  let before: string | undefined
  // An inherited member would be looked at too, and JSON.stringify skips it: then the look is too strict, never too lax.
  for (const key in value) {
    const member = value[key]
    if (member === undefined) continue
    if ((before !== undefined && before >= key) || !key.isWellFormed()) return false
    if (!isCanonical(member, depth + 1)) return false
    before = key
  }
  return true
}

function isPlain(value: object): value is Record<string, unknown> {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === Object.prototype || prototype === null
}

function textOf(value: unknown, path: string, depth: number): string {
  if (depth > MAX_DEPTH) throw new TypeError(`${path}: nested deeper than ${MAX_DEPTH} levels`)
  if (typeof value === 'string') return JSON.stringify(value.toWellFormed())
  if (typeof value === 'boolean') return value ? 'true' : 'false'
  if (typeof value === 'number') return integerText(value, path)
  if (value === null) return 'null'
  if (Array.isArray(value)) return arrayText(value, path, depth)
  if (typeof value === 'object') return objectText(value, path, depth)
  throw new TypeError(`${path}: a ${typeof value} has no canonical form; leave it out or write it as a string`)
}

function integerText(value: number, path: string): string {
  if (!Number.isSafeInteger(value)) {
    throw new TypeError(`${path}: ${value} is not an integer below 2^53; write it as a decimal string`)
  }
  return JSON.stringify(value)
}

function arrayText(values: readonly unknown[], path: string, depth: number): string {
  const texts: string[] = []
  for (let i = 0; i < values.length; i += 1) texts.push(textOf(values[i], `${path}[${i}]`, depth + 1))
  return `[${texts.join(',')}]`
}

function objectText(value: object, path: string, depth: number): string {
  if (!isPlain(value)) throw new TypeError(`${path}: only plain objects have a canonical form; convert it first`)
  const members: string[] = []
  for (const key of Object.keys(value).toSorted(byCodeUnits)) {
    const member: unknown = value[key]
    if (member === undefined) continue
    if (!key.isWellFormed()) throw new TypeError(`${path}: a key holds a lone surrogate; keys must be well-formed text`)
    members.push(`${JSON.stringify(key)}:${textOf(member, `${path}.${key}`, depth + 1)}`)
  }
  return `{${members.join(',')}}`
}

/** `<` on strings compares UTF-16 code units, the order RFC 8785 section 3.2.3 asks for. */
function byCodeUnits(a: string, b: string): number {
  return a < b ? -1 : 1
}
