/**
 * RFC 8785 (JCS) for the values that records and policies are made of: one value has one text, so a hash of the text is a
 * hash of the value. Numbers are integers below 2^53 because other languages print floats differently and money never is
 * one; a value outside the subset is a defect of the caller and throws, naming the place.
 */

/** Deeper than any record or policy; ends a cycle before the stack does. */
const MAX_DEPTH = 64

/** `path` names the value in errors. */
export function canonicalJson(value: unknown, path = '$'): string {
  return textOf(value, path, 0)
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
  const prototype: unknown = Object.getPrototypeOf(value)
  if (prototype !== Object.prototype && prototype !== null) {
    throw new TypeError(`${path}: only plain objects have a canonical form; convert it first`)
  }
  const members: string[] = []
  for (const [key, member] of Object.entries(value).toSorted(byKey)) {
    if (member === undefined) continue
    if (!key.isWellFormed()) throw new TypeError(`${path}: a key holds a lone surrogate; keys must be well-formed text`)
    members.push(`${JSON.stringify(key)}:${textOf(member, `${path}.${key}`, depth + 1)}`)
  }
  return `{${members.join(',')}}`
}

/** `<` on strings compares UTF-16 code units, the order RFC 8785 section 3.2.3 asks for. */
function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  return a[0] < b[0] ? -1 : 1
}
