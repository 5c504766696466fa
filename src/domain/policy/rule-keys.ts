/**
 * For whom a rule counts a call: one combination of values for each single dimension of its key, and one for each role or
 * group that the rule counts, because a caller with two roles uses up both. A run counts for each of its parents, too.
 */
import type { ListDimension } from '../identity.ts'
import { runOf, runPrefixes } from '../ledger/run.ts'
import { accepts, isListDimension, singleValue, type MatchFacts } from './match.ts'
import type { Dimension, Match, Policy } from './policy.ts'
import { encodePersonal, encodeValue, joinSubject, shardOf } from './subject.ts'

/** Most combinations that one rule counts for one call: bounds what one decision touches. */
export const FAN_OUT_MAX = 8

export interface RuleKey {
  /** The values as they stand in an accumulator's key. */
  readonly text: string
  readonly shard: number
  readonly dimension: string
  readonly subject: string
}

export interface KeyFault {
  readonly kind: 'fault'
  readonly dimension: Dimension
  readonly problem: 'missing' | 'too_many'
}

export type Keys = { readonly kind: 'keys'; readonly keys: readonly RuleKey[] } | KeyFault

interface Keyed {
  readonly key: readonly Dimension[]
  readonly match: Match
}

type KnownNames = Pick<Policy, 'knownRoles' | 'knownGroups'>

/** `encoded` remembers how a value stands in keys, for the other rules of the same caller. */
export function keysOf(rule: Keyed, facts: MatchFacts, known: KnownNames, encoded: Map<string, string>): Keys {
  let combinations: readonly (readonly string[])[] = [[]]
  for (const dimension of rule.key) {
    const values = valuesOf(dimension, rule, facts, known)
    if (values.length === 0) return { kind: 'fault', dimension, problem: 'missing' }
    if (values.length * combinations.length > FAN_OUT_MAX) return { kind: 'fault', dimension, problem: 'too_many' }
    combinations = combinations.flatMap((start) => values.map((value) => [...start, value]))
  }
  return { kind: 'keys', keys: combinations.map((values) => keyOf(rule.key, values, encoded)) }
}

function valuesOf(dimension: Dimension, rule: Keyed, facts: MatchFacts, known: KnownNames): readonly string[] {
  if (isListDimension(dimension)) return countedValues(dimension, rule, facts, known)
  const value = dimension === 'run' ? runOf(facts.identity) : singleValue(dimension, facts)
  if (value === undefined) return []
  return dimension === 'run' ? runPrefixes(value) : [value]
}

/** The caller's values that the rule's own match names, or else those that any rule of the set names. */
function countedValues(dimension: ListDimension, rule: Keyed, facts: MatchFacts, known: KnownNames): readonly string[] {
  const own = new Set(facts.identity.list[dimension])
  for (const { dimension: tested, test } of rule.match) {
    if (tested !== dimension || (test.kind !== 'anyOf' && test.kind !== 'glob')) continue
    return [...own].filter((value) => accepts(test, value))
  }
  const named = dimension === 'role' ? known.knownRoles : known.knownGroups
  return [...own].filter((value) => named.has(value))
}

/** Dimensions whose values name a person, or the machine of one. */
const PERSONAL: ReadonlySet<Dimension> = new Set(['user', 'ip'])

function keyOf(key: readonly Dimension[], values: readonly string[], encoded: Map<string, string>): RuleKey {
  const parts = values.map((value, at) => {
    const isPersonal = PERSONAL.has(key[at] ?? 'user')
    const name = `${isPersonal ? '#' : '='}${value}`
    const seen = encoded.get(name)
    if (seen !== undefined) return seen
    const made = isPersonal ? encodePersonal(value) : encodeValue(value)
    encoded.set(name, made)
    return made
  })
  return {
    text: joinSubject(parts),
    shard: shardOf(parts[homePart(key)] ?? ''),
    dimension: key.join(','),
    subject: values.join(','),
  }
}

/** All of one tenant lives in one shard, so that one atomic step reaches it; without a tenant the first value decides. */
export function homePart(key: readonly Dimension[]): number {
  return Math.max(0, key.indexOf('tenant'))
}
