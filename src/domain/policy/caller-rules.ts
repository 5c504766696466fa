/**
 * The limits and budgets that can apply to one caller, worked out once for as long as the identity lives: most tests and
 * keys depend on the token alone, and an agent sends thousands of calls with one token.
 */
import type { Countable } from '../ledger/accumulator-shape.ts'
import type { Identity } from '../identity.ts'
import { holds, matchFacts, type MatchFacts } from './match.ts'
import type { Dimension, Match, Policy } from './policy.ts'
import { keysOf, type Keys } from './rule-keys.ts'

export interface CallerRule {
  readonly rule: Countable
  /** What is left to test once the request is known. */
  readonly requestMatch: Match
  /** For whom the rule counts; undefined when that depends on the request, too. */
  readonly keys: Keys | undefined
  /** What everything that the rule draws is multiplied by. */
  readonly weight: number
}

interface Remembered {
  readonly policy: Policy
  readonly rules: readonly CallerRule[]
}

/**
 * Owned by this file; an entry goes with its identity, and holds for one policy only. A pure function of both, since
 * neither ever changes: whoever fills it first, the content is the same.
 */
const remembered = new WeakMap<Identity, Remembered>()

export function callerRules(policy: Policy, identity: Identity): readonly CallerRule[] {
  const known = remembered.get(identity)
  if (known !== undefined && known.policy === policy) return known.rules
  const rules = findRules(policy, identity)
  remembered.set(identity, { policy, rules })
  return rules
}

function findRules(policy: Policy, identity: Identity): readonly CallerRule[] {
  const facts = matchFacts(policy.classification, identity)
  const encoded = new Map<string, string>()
  return [...policy.limits, ...policy.budgets, ...policy.runs]
    .filter(({ match }) =>
      holds(
        match.filter(({ dimension }) => !isOfRequest(dimension)),
        facts,
      ),
    )
    .map((rule) => ({
      rule,
      requestMatch: rule.match.filter(({ dimension }) => isOfRequest(dimension)),
      keys: rule.key.some(isOfRequest) ? undefined : keysOf(rule, facts, policy, encoded),
      weight: weightOf(rule, facts, policy),
    }))
}

/** Whether a dimension belongs to the request and not to the caller. */
function isOfRequest(dimension: Dimension): boolean {
  return dimension === 'model' || dimension === 'operation' || dimension === 'upstream'
}

/** A place is one place, and a dollar one dollar, whatever the data. An unknown level weighs as much as the heaviest. */
function weightOf(rule: Countable, facts: MatchFacts, { classification }: Policy): number {
  const isWeighed = 'weighByClassification' in rule && rule.weighByClassification && rule.unit !== 'concurrent'
  if (!isWeighed) return 1
  return facts.level?.weight ?? Math.max(...classification.levels.map(({ weight }) => weight))
}
