/**
 * `match`: a mapping of dimensions to tests. Written by hand instead of as a union of shapes, because a union can only say
 * that nothing fitted, not what would have.
 */
import { z } from 'zod'
import { LIST_DIMENSIONS, SINGLE_DIMENSIONS } from '../../domain/identity.ts'
import type { Dimension } from '../../domain/policy/policy.ts'
import type { PolicyPath } from './policies-problem.ts'
import { value } from './policies-values.ts'

/** A test as written, in its one normal form. */
export type TestText =
  | { readonly kind: 'anyOf'; readonly values: readonly string[] }
  | { readonly kind: 'glob'; readonly pattern: string }
  | { readonly kind: 'level'; readonly atLeast: string | undefined; readonly atMost: string | undefined }
  | { readonly kind: 'present'; readonly present: boolean }
  | { readonly kind: 'not'; readonly test: TestText }

export type MatchText = readonly { readonly dimension: Dimension; readonly test: TestText }[]

const REQUEST_DIMENSIONS = ['model', 'operation', 'upstream'] as const

/** Not `ip`: identities come from tokens alone, so no caller has one, and a rule about it would silently not apply. */
const CALLER_DIMENSIONS = SINGLE_DIMENSIONS.filter((dimension) => dimension !== 'ip')

export const IDENTITY_DIMENSIONS = [...CALLER_DIMENSIONS, ...LIST_DIMENSIONS] as const
export const DIMENSIONS = [...IDENTITY_DIMENSIONS, ...REQUEST_DIMENSIONS] as const

const FORMS =
  'a value, a list of values, {not: ...}, {glob: "x-*"}, {present: true|false} or, for classification, {atLeast: level, atMost: level}'

/** Most values one test may list. */
const VALUES_MAX = 1_000

type Fail = (path: PolicyPath, message: string) => undefined

/** A match over the given dimensions; tests are sorted by dimension, since their order means nothing. */
export function match(dimensions: readonly Dimension[]) {
  return z
    .record(z.string(), z.unknown(), { error: 'expected a mapping of dimensions to tests' })
    .transform((tests, context): MatchText => {
      const fail: Fail = (path, message) => {
        context.addIssue({ code: 'custom', message, path: [...path], input: undefined })
        return undefined
      }
      return Object.entries(tests)
        .toSorted(([left], [right]) => (left < right ? -1 : 1))
        .flatMap(([key, written]) => {
          const dimension = dimensions.find((known) => known === key)
          if (dimension === undefined) {
            fail([key], `unknown dimension here; known: ${dimensions.join(', ')}`)
            return []
          }
          const test = testOf(dimension, written, [key], fail)
          return test === undefined ? [] : [{ dimension, test }]
        })
    })
    .default([])
}

function testOf(dimension: Dimension, written: unknown, path: PolicyPath, fail: Fail): TestText | undefined {
  if (typeof written === 'string') return anyOf([written], path, fail)
  if (Array.isArray(written)) return anyOf(written, path, fail)
  if (typeof written !== 'object' || written === null) return fail(path, `expected ${FORMS}; put quotes around values`)
  const parts = Object.entries(written)
  const names = new Set(parts.map(([key]) => key))
  if (names.has('atLeast') || names.has('atMost')) return levelOf(dimension, new Map(parts), path, fail)
  const [part, ...others] = parts
  if (part === undefined || others.length > 0) return fail(path, `expected ${FORMS}`)
  return singlePart(dimension, part, path, fail)
}

function singlePart(
  dimension: Dimension,
  [key, written]: readonly [string, unknown],
  path: PolicyPath,
  fail: Fail,
): TestText | undefined {
  const at = [...path, key]
  switch (key) {
    case 'not': {
      const test = testOf(dimension, written, at, fail)
      if (test?.kind === 'not') return fail(at, 'not inside not: write the test itself')
      return test && { kind: 'not', test }
    }
    case 'glob':
      if (typeof written !== 'string' || !written.includes('*'))
        return fail(at, 'expected a pattern with *, such as "chat-*"')
      return value.safeParse(written).success
        ? { kind: 'glob', pattern: written }
        : fail(at, 'too long, or not in form NFC')
    case 'present':
      return typeof written === 'boolean' ? { kind: 'present', present: written } : fail(at, 'expected true or false')
    default:
      return fail(at, `unknown test; expected ${FORMS}`)
  }
}

function anyOf(written: readonly unknown[], path: PolicyPath, fail: Fail): TestText | undefined {
  if (written.length === 0) return fail(path, 'an empty list matches nothing; name at least one value')
  if (written.length > VALUES_MAX) return fail(path, `at most ${String(VALUES_MAX)} values`)
  const values: string[] = []
  for (const [index, entry] of written.entries()) {
    const parsed = value.safeParse(entry)
    if (!parsed.success)
      return fail(written.length > 1 ? [...path, index] : path, parsed.error.issues[0]?.message ?? '')
    values.push(parsed.data)
  }
  return { kind: 'anyOf', values: [...new Set(values)].toSorted() }
}

function levelOf(
  dimension: Dimension,
  parts: ReadonlyMap<string, unknown>,
  path: PolicyPath,
  fail: Fail,
): TestText | undefined {
  if (dimension !== 'classification')
    return fail(path, 'atLeast and atMost compare levels: only classification has them')
  for (const [key, level] of parts) {
    if (key !== 'atLeast' && key !== 'atMost') return fail([...path, key], 'only atLeast and atMost go together')
    if (typeof level !== 'string') return fail([...path, key], 'expected the name of a classification level')
  }
  const [atLeast, atMost] = [parts.get('atLeast'), parts.get('atMost')]
  return {
    kind: 'level',
    atLeast: typeof atLeast === 'string' ? atLeast : undefined,
    atMost: typeof atMost === 'string' ? atMost : undefined,
  }
}
