/**
 * Whether a rule applies to a caller and its request.
 */
import type { Ask } from '../ask.ts'
import { LIST_DIMENSIONS, type Identity, type ListDimension } from '../identity.ts'
import type { Classification, Dimension, Match, Test } from './policy.ts'

/** What tests are held against. What is not known yet, such as the upstream before one is chosen, has no value. */
export interface MatchFacts {
  readonly identity: Identity
  /** The caller's classification or the set's default; undefined when the set does not know the caller's. */
  readonly level: { readonly name: string; readonly rank: number; readonly weight: number } | undefined
  readonly model?: string
  readonly operation?: Ask['operation']
  readonly upstream?: string
}

/** Joins what is known of a caller with the rank of its classification. */
export function matchFacts(
  classification: Classification,
  identity: Identity,
  request: Pick<MatchFacts, 'model' | 'operation' | 'upstream'> = {},
): MatchFacts {
  const name = identity.single.classification ?? classification.default
  const rank = classification.levels.findIndex((level) => level.name === name)
  const found = classification.levels[rank]
  return { identity, level: found && { name, rank, weight: found.weight }, ...request }
}

/** Whether every test holds. A match without tests holds for everybody. */
export function holds(match: Match, facts: MatchFacts): boolean {
  for (const { dimension, test } of match) {
    if (!testHolds(dimension, test, facts)) return false
  }
  return true
}

/** The value of a dimension that has at most one; undefined when the caller has none. */
export function singleValue(dimension: Exclude<Dimension, ListDimension>, facts: MatchFacts): string | undefined {
  if (dimension === 'model' || dimension === 'operation' || dimension === 'upstream') return facts[dimension]
  if (dimension === 'issuer') return facts.identity.issuer
  if (dimension === 'classification') return facts.level?.name
  return facts.identity.single[dimension]
}

export function isListDimension(dimension: Dimension): dimension is ListDimension {
  return LIST_DIMENSIONS.some((name) => name === dimension)
}

/**
 * `not` is the opposite of its test for the dimension as a whole: `role: {not: contractor}` holds for nobody who has that
 * role, whatever other roles they have.
 */
function testHolds(dimension: Dimension, test: Test, facts: MatchFacts): boolean {
  if (test.kind === 'not') return !testHolds(dimension, test.test, facts)
  if (test.kind === 'level') {
    return facts.level !== undefined && facts.level.rank >= test.atLeast && facts.level.rank <= test.atMost
  }
  if (isListDimension(dimension)) {
    const values = facts.identity.list[dimension]
    return test.kind === 'present' ? values.length > 0 === test.present : values.some((value) => accepts(test, value))
  }
  const value = singleValue(dimension, facts)
  if (test.kind === 'present') return (value !== undefined) === test.present
  return value !== undefined && accepts(test, value)
}

type ValueTest = Extract<Test, { kind: 'anyOf' | 'glob' }>

/** Whether one value passes a test that names values. */
export function accepts(test: ValueTest, value: string): boolean {
  return test.kind === 'anyOf' ? test.values.has(value) : test.matches(value)
}
