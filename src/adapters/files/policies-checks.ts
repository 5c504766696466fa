/**
 * What only the whole set shows: names used twice or known nowhere, levels, models without a price, callers under no
 * limit. A set with an error is not used; warnings are shown.
 */
import { compileGlob } from '../../domain/policy/glob.ts'
import { checkDestinations } from './policies-destinations.ts'
import { STANDARD_CLASSIFICATION } from './policies-identity-schema.ts'
import type { JoinedSet, Placed } from './policies-join.ts'
import type { TestText } from './policies-match.ts'
import type { PolicyProblem, Report } from './policies-problem.ts'
import { checkReach } from './policies-reach.ts'

export interface CheckOptions {
  /** Whether the price table knows a provider's model; left out when there is no table. */
  readonly knownModel: ((provider: string, model: string) => boolean) | undefined
  /** `iss` of the built-in issuer's tokens. */
  readonly builtinIssuer: string
}

const HOUR_MS = 3_600_000

export function checkSet(set: JoinedSet, options: CheckOptions): readonly PolicyProblem[] {
  const problems: PolicyProblem[] = []
  const report: Report = (place, finding) => problems.push(place.problem(finding))
  checkUnique(set, report)
  checkIssuers(set, options.builtinIssuer, report)
  checkLevels(set, report)
  checkNames(set, report)
  checkModels(set, report)
  if (options.knownModel) checkPrices(set, options.knownModel, report)
  checkDestinations(set, report)
  checkReach(set, report)
  return problems
}

/** Limits, budgets and runs share their names, because a refusal names just one of them. */
function checkUnique(set: JoinedSet, report: Report): void {
  const spaces: readonly (readonly Placed<{ readonly name: string }>[])[] = [
    set.issuers,
    set.upstreams,
    set.access,
    [...set.limits, ...set.budgets, ...set.runs],
  ]
  for (const space of spaces) {
    const seen = new Set<string>()
    for (const { part, place } of space) {
      if (seen.has(part.name))
        report(place, { code: 'P030', path: ['name'], message: `the name ${part.name} is used twice` })
      seen.add(part.name)
    }
  }
  const keys = new Set<string>()
  for (const { part, place } of set.upstreams) {
    for (const [index, { id }] of ('keys' in part ? part.keys : []).entries()) {
      if (keys.has(id))
        report(place, { code: 'P030', path: ['keys', index, 'id'], message: `the key id ${id} is used twice` })
      keys.add(id)
    }
  }
  checkUniqueRates(set, report)
}

/** Two counters of one limit that count the same thing would be one counter. */
function checkUniqueRates(set: JoinedSet, report: Report): void {
  for (const { part, place } of set.limits) {
    const seen = new Set<string>()
    for (const [index, { unit, shape }] of part.rates.entries()) {
      const counted = `${unit} ${shape.kind} ${'periodMs' in shape ? String(shape.periodMs) : ''}`
      const message = 'counts the same as another rate of this limit: keep the smaller one'
      if (seen.has(counted)) report(place, { code: 'P030', path: ['rates', index], message })
      seen.add(counted)
    }
  }
}

function checkIssuers(set: JoinedSet, builtinIssuer: string, report: Report): void {
  const seen = new Set([builtinIssuer])
  let builtins = 0
  for (const { part, place } of set.issuers) {
    if (part.builtin === true) {
      builtins += 1
      if (builtins > 1) report(place, { code: 'P030', path: ['builtin'], message: 'there is one built-in issuer' })
      continue
    }
    const twice = 'another issuer has this iss: a token could be accepted by either'
    if (seen.has(part.issuer)) report(place, { code: 'P030', path: ['issuer'], message: twice })
    seen.add(part.issuer)
    if (part.maxLifetime <= HOUR_MS || part.requireJti) continue
    const message = 'tokens live longer than 1h without requireJti: a stolen one cannot be revoked by its id'
    report(place, { code: 'P059', severity: 'warning', path: ['maxLifetime'], message })
  }
}

function checkLevels(set: JoinedSet, report: Report): void {
  const { levels, default: standard } = set.classification?.part ?? STANDARD_CLASSIFICATION
  const known = new Set(levels.map(({ name }) => name))
  const unknown = (level: string) => `unknown level ${level}; known: ${[...known].join(', ')}`
  if (set.classification !== undefined) {
    const { place } = set.classification
    if (!known.has(standard)) report(place, { code: 'P034', path: ['default'], message: unknown(standard) })
    if (known.size < levels.length) report(place, { code: 'P030', path: ['levels'], message: 'names a level twice' })
  }
  for (const { part, place } of [...set.access, ...set.limits, ...set.budgets, ...set.runs]) {
    for (const { dimension, test } of part.match) {
      if (dimension !== 'classification') continue
      for (const level of namesIn(test)) {
        if (!known.has(level)) report(place, { code: 'P034', path: ['match', dimension], message: unknown(level) })
      }
    }
  }
}

/** The names that a test spells out. */
function namesIn(test: TestText): readonly string[] {
  if (test.kind === 'anyOf') return test.values
  if (test.kind === 'not') return namesIn(test.test)
  return test.kind === 'level' ? [test.atLeast, test.atMost].filter((level) => level !== undefined) : []
}

/** Names of a match that the set itself defines. */
function checkNames(set: JoinedSet, report: Report): void {
  const known = {
    upstream: new Set(set.upstreams.map(({ part }) => part.name)),
    issuer: new Set(set.issuers.map(({ part }) => part.name)),
    operation: new Set(['chat']),
  }
  for (const { part, place } of [...set.access, ...set.limits, ...set.budgets, ...set.runs]) {
    for (const { dimension, test } of part.match) {
      if (dimension !== 'upstream' && dimension !== 'issuer' && dimension !== 'operation') continue
      for (const name of namesIn(test)) {
        if (known[dimension].has(name)) continue
        const message = `unknown ${dimension} ${name}; known: ${[...known[dimension]].join(', ')}`
        report(place, { code: 'P031', path: ['match', dimension], message })
      }
    }
  }
}

function checkModels(set: JoinedSet, report: Report): void {
  const served = [...new Set(set.upstreams.flatMap(({ part }) => Object.keys(part.models)))]
  for (const { part, place } of set.access) {
    const effect = part.allow === undefined ? 'deny' : 'allow'
    for (const [index, pattern] of (part[effect]?.models ?? []).entries()) {
      if (served.some(compileGlob(pattern))) continue
      const message = `no upstream serves ${pattern}`
      report(place, { code: 'P051', severity: 'warning', path: [effect, 'models', index], message })
    }
  }
}

function checkPrices(set: JoinedSet, knownModel: (provider: string, model: string) => boolean, report: Report): void {
  for (const { part, place } of set.upstreams) {
    for (const [alias, model] of Object.entries(part.models)) {
      if (knownModel(part.provider, model)) continue
      const message = `${part.provider} model ${model} has no price: calls to it are refused. Add it to pricing/`
      report(place, { code: 'P057', severity: 'warning', path: ['models', alias], message })
    }
  }
}
