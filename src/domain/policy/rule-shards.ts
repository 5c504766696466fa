/**
 * Where the accumulators that a log names live. The id of a rule stands for its key, so the rules in force say which part of
 * a key decides its shard; what no rule in force counts needs no place.
 */
import type { Policy } from './policy.ts'
import { homePart } from './rule-keys.ts'
import { shardOf, splitSubject } from './subject.ts'

/** The virtual shard of an accumulator key, or undefined when no rule in force has it. */
export type ShardOfKey = (key: string) => number | undefined

export function shardsOfRules(policy: Pick<Policy, 'limits' | 'budgets' | 'runs'>): ShardOfKey {
  const homes = new Map(
    [...policy.limits, ...policy.budgets, ...policy.runs].map((rule) => [rule.id, homePart(rule.key)]),
  )
  return (key) => {
    const [id = '', subject = ''] = key.split(':')
    const home = homes.get(id)
    return home === undefined ? undefined : shardOf(splitSubject(subject)[home] ?? '')
  }
}
