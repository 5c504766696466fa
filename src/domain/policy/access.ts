/**
 * Who may use which model. Nothing is allowed unless a rule allows it; one rule that denies beats any number that allow;
 * the order of rules never matters.
 */
import type { Ask, Family } from '../ask.ts'
import type { Target } from '../decision.ts'
import type { Identity } from '../identity.ts'
import { holds, matchFacts, type MatchFacts } from './match.ts'
import type { AccessRule, Policy, Upstream } from './policy.ts'
import { refuse, type Refusal } from '../refusal.ts'

export interface Allowed {
  readonly kind: 'allowed'
  /** The first of the candidates. */
  readonly target: Target
  /** Every configured place that serves the model in the caller's wire format, in the order of the policy; at least one. */
  readonly candidates: readonly Target[]
  /** Largest maximum of output tokens for one choice; undefined when no rule sets one. */
  readonly outputTokensMax: number | undefined
  /** Name of the rule that allowed it: of several the widest, of equally wide ones the first by name. */
  readonly rule: string
}

type Asked = Pick<Ask, 'model' | 'operation' | 'family'>
type AllowEffect = Extract<AccessRule['effect'], { kind: 'allow' }>

interface Grant {
  readonly rule: string
  readonly effect: AllowEffect
}

/** Longest part of the caller's model name that is repeated to it. */
const ECHO_MAX = 100

/** Whether a caller may send this request, and where it can go. */
export function decideAccess(policy: Policy, identity: Identity, ask: Asked): Allowed | Refusal {
  const facts = matchFacts(policy.classification, identity)
  if (facts.level === undefined) return unknownClassification()
  const denied = denialOf(policy, facts, ask.model)
  if (denied !== undefined) return denied
  const grants = grantsOf(policy, facts)
  if (grants.length === 0)
    return refuse('access_denied', 'No access rule allows you to call any model.', { reason: 'no_rule' })
  const forModel = grants.filter(({ effect }) => names(effect.models, ask.model))
  if (forModel.length === 0) return modelNotFound(ask.model, 'model_not_allowed')
  const candidates = targetsOf(policy, ask)
  const [target] = candidates
  if (target === undefined) return modelNotFound(ask.model, 'model_not_served')
  const widest = forModel.filter(({ effect }) => effect.operations?.has(ask.operation) ?? true).reduce(wider, undefined)
  if (widest === undefined) return operationDenied(ask.operation)
  return { kind: 'allowed', target, candidates, outputTokensMax: widest.effect.outputTokensMax, rule: widest.rule }
}

/** Aliases that the caller may use, sorted; with a family only those it can reach in that wire format. */
export function modelsFor(policy: Policy, identity: Identity, family?: Family): readonly string[] {
  const facts = matchFacts(policy.classification, identity)
  if (facts.level === undefined) return []
  const grants = grantsOf(policy, facts)
  const offered = policy.upstreams.filter((upstream) => family === undefined || speaks(upstream, family))
  const aliases = new Set(offered.flatMap((upstream) => [...upstream.models.keys()]))
  return [...aliases]
    .filter((alias) => grants.some(({ effect }) => names(effect.models, alias)))
    .filter((alias) => denialOf(policy, facts, alias) === undefined)
    .toSorted()
}

function names(models: AllowEffect['models'], model: string): boolean {
  return models === undefined || models.some((matches) => matches(model))
}

function grantsOf(policy: Policy, facts: MatchFacts): readonly Grant[] {
  const grants: Grant[] = []
  for (const { name, match, effect } of policy.access) {
    if (effect.kind === 'allow' && holds(match, facts)) grants.push({ rule: name, effect })
  }
  return grants
}

/** Reduces to the grant with the largest output; a grant without a maximum is larger than any. */
function wider(left: Grant | undefined, right: Grant): Grant {
  if (left === undefined) return right
  const [a, b] = [left, right].map(({ effect }) => effect.outputTokensMax ?? Number.POSITIVE_INFINITY)
  if (a !== b) return (a ?? 0) > (b ?? 0) ? left : right
  return left.rule <= right.rule ? left : right
}

/**
 * The refusal by a rule that denies. Denying everything may say why; a denied model answers like one that does not exist,
 * or the answer would tell the two apart.
 */
function denialOf(policy: Policy, facts: MatchFacts, model: string): Refusal | undefined {
  const denials = policy.access.filter(({ match, effect }) => effect.kind === 'deny' && holds(match, facts))
  const [everything] = denials
    .filter(({ effect }) => effect.models === undefined)
    .toSorted((left, right) => (left.name < right.name ? -1 : 1))
  if (everything !== undefined) return deniedBy(everything)
  const denied = denials.some(({ effect }) => names(effect.models, model))
  return denied ? modelNotFound(model, 'model_denied') : undefined
}

function deniedBy({ name, match, effect }: AccessRule): Refusal {
  const byClassification = match.some(({ dimension }) => dimension === 'classification')
  const message = effect.kind === 'deny' ? effect.message : undefined
  return refuse(
    byClassification ? 'classification_denied' : 'access_denied',
    message ?? `Access rule ${name} refuses you.`,
    {
      reason: `denied_by:${name}`,
    },
  )
}

function modelNotFound(model: string, reason: string): Refusal {
  const shown = model.length > ECHO_MAX ? `${model.slice(0, ECHO_MAX)}...` : model
  return refuse('model_not_found', `The model \`${shown}\` does not exist or you do not have access to it.`, {
    field: 'model',
    reason,
  })
}

function operationDenied(operation: string): Refusal {
  return refuse('access_denied', `You may use this model, but not for the operation ${operation}.`, {
    reason: 'operation_not_allowed',
  })
}

/** A level that the set does not know is neither the lowest nor the default: nothing can be said of such data. */
function unknownClassification(): Refusal {
  return refuse(
    'classification_denied',
    'The data classification in your token is not one that this gateway knows. Ask for a token with a known one.',
    { reason: 'classification_unknown' },
  )
}

/** The simulator answers in every wire format; a provider in its own. */
function speaks(upstream: Upstream, family: Family): boolean {
  return upstream.provider === 'simulator' || upstream.provider === family
}

function targetsOf(policy: Policy, ask: Asked): readonly Target[] {
  const targets: Target[] = []
  for (const upstream of policy.upstreams) {
    const model = upstream.models.get(ask.model)
    if (model !== undefined && speaks(upstream, ask.family)) targets.push({ upstream, model })
  }
  return targets
}
