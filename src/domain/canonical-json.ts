/**
 * RFC 8785 (JCS) for the values that records and policies are made of: one value has one text, so a hash of the text is a
 * hash of the value. Numbers are integers below 2^53 because other languages print floats differently and money never is
 * one; a value outside the subset is a defect of the caller and throws, naming the place.
 */

/** Deeper than any record or policy; ends a cycle before the stack does. */
const MAX_DEPTH = 64

/** `path` names the value in errors. */
export function canonicalJson(value: unknown, path = '$'): string {
  const ordered = orderedCopy(value, 0)
  return ordered === UNUSUAL ? textOf(value, path, 0) : JSON.stringify(ordered)
}

/** What is not certain to come out of JSON.stringify in canonical form; or has none, which the exact path then says. */
const UNUSUAL = Symbol('unusual')

/**
 * The same value with its keys in order, for JSON.stringify: together half the cost of writing the text here, and every call
 * of the gateway has two records to write.
 */
function orderedCopy(value: unknown, depth: number): unknown {
  if (typeof value === 'string') return value.isWellFormed() ? value : UNUSUAL
  if (typeof value === 'number') return Number.isSafeInteger(value) ? value : UNUSUAL
  if (typeof value === 'boolean' || value === null) return value
  if (typeof value !== 'object' || depth > MAX_DEPTH) return UNUSUAL
  return Array.isArray(value) ? orderedItems(value, depth) : orderedMembers(value, depth)
}

function orderedItems(values: readonly unknown[], depth: number): unknown {
  const copy: unknown[] = []
  for (let i = 0; i < values.length; i += 1) {
    const item = orderedCopy(values[i], depth + 1)
    if (item === UNUSUAL) return UNUSUAL
    copy.push(item)
  }
  return copy
}

/** Keys that are numbers are moved to the front by every engine, and `__proto__` is no ordinary key. */
const ORDINARY_KEY = /^[A-Za-z][\x20-\x7e]*$/u

function orderedMembers(value: object, depth: number): unknown {
  if (!isPlain(value)) return UNUSUAL
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(value).toSorted(byCodeUnits)) {
    if (!ORDINARY_KEY.test(key)) return UNUSUAL
    const given: unknown = value[key]
    if (given === undefined) continue
    const member = orderedCopy(given, depth + 1)
    if (member === UNUSUAL) return UNUSUAL
    copy[key] = member
  }
  return copy
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
