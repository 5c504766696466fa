/**
 * Reads the fields that are acted on and keeps the first fault. `null` counts as absent, as both vendors take it.
 */
import type { InvalidAsk } from '../domain/ask.ts'
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'
import { invalid } from './request-body.ts'

interface Bounds {
  readonly min: number
  readonly max: number
}

/** Whole numbers above this are not exact in JSON readers that use doubles. */
export const INTEGER_MAX = Number.MAX_SAFE_INTEGER

/** No model writes that much: a larger maximum is a mistake that the provider would only refuse after money was held. */
export const OUTPUT_TOKENS_MAX = 10_000_000

/** Field names that are safe to repeat to the caller. */
const PLAIN_NAME = /^\w{1,64}$/

/** Longest model name: longer than any vendor's, short enough for logs and records. */
const MODEL_NAME_MAX = 256

/** Model names are printable; control characters in them could forge log lines. */
// oxlint-disable-next-line no-control-regex -- control characters are what it looks for
const CONTROL = /[\u0000-\u001f\u007f]/

export class FieldReader {
  readonly #root: JsonObject
  /** Owned by this reader; set once, by the first fault. */
  #fault: InvalidAsk | undefined

  constructor(root: JsonObject) {
    this.#root = root
  }

  get fault(): InvalidAsk | undefined {
    return this.#fault
  }

  refuse(field: string, rest: string): undefined {
    this.#fault ??= invalid(field, `${field} ${rest}`)
    return undefined
  }

  /** A field's value, undefined when it is absent or null. */
  value(name: string): unknown {
    const value = Object.hasOwn(this.#root, name) ? this.#root[name] : undefined
    return value === null ? undefined : value
  }

  /** Refuses members of the body that differ from one of `names` in letter case alone. */
  spelling(names: ReadonlySet<string>): void {
    this.spellingOf(this.#root, '', names)
  }

  /**
   * Refuses members that differ from one of `names` (all in lower case) in letter case alone: readers that ignore case,
   * as Go's does, would act on what was not counted here. `at` is the object's place and a dot.
   */
  spellingOf(object: JsonObject, at: string, names: ReadonlySet<string>): void {
    for (const key of Object.keys(object)) {
      if (names.has(key)) continue
      // Both ways: the Kelvin sign has only a lower case form in ASCII, the long s only an upper case one.
      const meant = key.toUpperCase().toLowerCase()
      if (!names.has(meant)) continue
      const given = PLAIN_NAME.test(key) ? key : meant
      this.#fault ??= invalid(`${at}${given}`, `${at}${given} is not a field: did you mean ${meant}?`)
    }
  }

  model(): string {
    const value = this.value('model')
    if (typeof value === 'string' && value !== '' && value.length <= MODEL_NAME_MAX && !CONTROL.test(value)) {
      return value
    }
    this.refuse('model', `must be the name of a model: a string of 1 to ${MODEL_NAME_MAX} printable characters.`)
    return ''
  }

  boolean(name: string): boolean | undefined {
    const value = this.value(name)
    if (value === undefined || typeof value === 'boolean') return value
    return this.refuse(name, 'must be true or false.')
  }

  integer(name: string, { min, max }: Bounds): number | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value === 'number' && Number.isInteger(value) && value >= min && value <= max) return value
    const range = max === INTEGER_MAX ? `a whole number, ${min} or more` : `an integer from ${min} to ${max}`
    return this.refuse(name, `must be ${range}.`)
  }

  /** A short printable text that names something of the vendor's. */
  word(name: string): string | undefined {
    const value = this.value(name)
    if (value === undefined || (typeof value === 'string' && PLAIN_NAME.test(value))) return value
    return this.refuse(name, 'must be 1 to 64 letters, digits or underscores.')
  }

  oneOf(name: string, values: readonly string[]): string | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (typeof value === 'string' && values.includes(value)) return value
    return this.refuse(name, `must be one of ${values.join(', ')}.`)
  }

  object(name: string): JsonObject | undefined {
    const value = this.value(name)
    if (value === undefined || isObject(value)) return value
    return this.refuse(name, 'must be an object.')
  }

  list(name: string): readonly unknown[] | undefined {
    const value = this.value(name)
    if (value === undefined) return undefined
    if (Array.isArray(value)) return value
    return this.refuse(name, 'must be an array.')
  }

  /** A list of objects that must be there and have at least one item. */
  messages(): readonly JsonObject[] {
    const value = this.value('messages')
    if (!Array.isArray(value) || value.length === 0) {
      this.refuse('messages', 'must be a non-empty array.')
      return []
    }
    return this.objects(value, 'messages')
  }

  /** The items, each of which must be an object. */
  objects(items: readonly unknown[], name: string): readonly JsonObject[] {
    const objects = items.filter(isObject)
    if (objects.length !== items.length) {
      const index = items.findIndex((item) => !isObject(item))
      this.refuse(`${name}[${index}]`, 'must be an object.')
    }
    return objects
  }
}
