/**
 * Reads the whole numbers of a usage object and remembers whether one of them was none.
 */
import type { Meter, Quantities } from '../domain/prices/usage.ts'
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'

/** Longest name or tier taken from an answer into records. */
const WORD_MAX = 256

export class UsageCounts {
  readonly #object: JsonObject
  #sound = true

  constructor(object: JsonObject) {
    this.#object = object
  }

  /** False once a member was present and was not a whole number. */
  get sound(): boolean {
    return this.#sound
  }

  /** The member's value; undefined when it is absent, null, or not a whole number of 0 or more. */
  known(name: string): number | undefined {
    const value = this.#object[name]
    if (value === undefined || value === null) return undefined
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value
    this.#sound = false
    return undefined
  }

  count(name: string): number {
    return this.known(name) ?? 0
  }

  /** Counts of a nested object; an absent one counts nothing. */
  inside(name: string): UsageCounts {
    const value = this.#object[name]
    return new UsageCounts(isObject(value) ? value : {})
  }
}

/** Quantities without the meters that were not used. */
export function usedMeters(all: Partial<Record<Meter, number>>): Quantities {
  return Object.fromEntries(Object.entries(all).filter(([, quantity]) => quantity > 0))
}

/** A short text of an answer, such as its model or tier; anything else is left out. */
export function answerWord(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' && value.length <= WORD_MAX ? value : undefined
}
