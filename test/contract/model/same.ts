import { deepStrictEqual } from 'node:assert/strict'

/** As it would be read from a line of JSON: what is undefined is not there. */
function plain(value: unknown): unknown {
  return value === undefined ? null : JSON.parse(JSON.stringify(value))
}

/** Throws an AssertionError unless both are the same data. Texts are compared first, because a run compares often. */
export function same(actual: unknown, right: unknown, what: string): void {
  if (JSON.stringify(actual) === JSON.stringify(right)) return
  try {
    deepStrictEqual(plain(actual), plain(right))
  } catch (error) {
    if (error instanceof Error) error.message = `${what}: ${error.message}`
    throw error
  }
}
