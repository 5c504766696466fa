/**
 * Whom rules reach: rules that no request can meet, keys that no token can fill, callers that no limit holds, and sets
 * whose decisions would touch too many counters.
 */
import { ACCUMULATORS_MAX } from '../../domain/ledger/accumulator.ts'
import { compileGlob } from '../../domain/policy/glob.ts'
import type { Dimension } from '../../domain/policy/policy.ts'
import { namedValues } from './policies-compiler.ts'
import { exceedsAccumulators, type Drawing } from './policies-drawings.ts'
import { STANDARD_CLASSIFICATION } from './policies-identity-schema.ts'
import type { JoinedSet, Placed } from './policies-join.ts'
import type { BudgetText, LimitText } from './policies-limits-schema.ts'
import type { MatchText, TestText } from './policies-match.ts'
import type { Report } from './policies-problem.ts'
import type { RunText } from './policies-runs-schema.ts'

/** Dimensions that need no issuer to map them. */
const ALWAYS_KNOWN = new Set<Dimension>(['issuer', 'classification', 'model', 'operation', 'upstream'])

type Rule = Placed<{ readonly name: string; readonly match: MatchText; readonly key?: readonly Dimension[] }>

export function checkReach(set: JoinedSet, report: Report): void {
  const rules: readonly Rule[] = [...set.access, ...set.limits, ...set.budgets, ...set.runs]
  for (const rule of rules) {
    checkMatchReach(set, rule, report)
    checkKeyReach(set, rule, report)
  }
  checkRunKeys(set, report)
  checkBursts(set, report)
  checkCovered(set, report)
  checkAccumulators(set, report)
}

function checkMatchReach(set: JoinedSet, { part, place }: Rule, report: Report): void {
  for (const { dimension, test } of part.match) {
    const why = whyNever(set, dimension, test)
    if (why === undefined) continue
    report(place, {
      code: 'P050',
      severity: 'warning',
      path: ['match', dimension],
      message: `no request can match: ${why}`,
    })
  }
}

function whyNever(set: JoinedSet, dimension: Dimension, test: TestText): string | undefined {
  if (!isFilled(set, dimension) && test.kind !== 'not' && !(test.kind === 'present' && !test.present)) {
    return `no issuer maps ${dimension}`
  }
  if (test.kind === 'level') {
    const names = (set.classification?.part ?? STANDARD_CLASSIFICATION).levels.map(({ name }) => name)
    const { atLeast, atMost } = test
    const isEmpty = atLeast !== undefined && atMost !== undefined && names.indexOf(atLeast) > names.indexOf(atMost)
    return isEmpty ? `${atLeast} is above ${atMost}` : undefined
  }
  if (dimension !== 'model' || (test.kind !== 'anyOf' && test.kind !== 'glob')) return undefined
  const served = set.upstreams.flatMap(({ part }) => Object.keys(part.models))
  const matches = test.kind === 'anyOf' ? (alias: string) => test.values.includes(alias) : compileGlob(test.pattern)
  return served.some(matches) ? undefined : 'no upstream serves such a model'
}

/** Whether some issuer gives the dimension a value. The built-in one fills all of them. */
function isFilled(set: JoinedSet, dimension: Dimension): boolean {
  if (ALWAYS_KNOWN.has(dimension)) return true
  return set.issuers.some(({ part }) => {
    if (part.builtin === true) return true
    return Object.entries(part.map).some(([mapped, source]) => mapped === dimension && source !== undefined)
  })
}

/** A key that nothing can fill refuses every call that the rule matches. */
function checkKeyReach(set: JoinedSet, { part, place }: Rule, report: Report): void {
  for (const [index, dimension] of (part.key ?? []).entries()) {
    const fault = keyFault(set, part.match, dimension)
    if (fault !== undefined) report(place, { code: 'P035', path: ['key', index], message: fault })
  }
}

function keyFault(set: JoinedSet, match: MatchText, dimension: Dimension): string | undefined {
  const isNamed = dimension === 'run' && set.issuers.some(({ part }) => part.runHeader)
  if (!isFilled(set, dimension) && !isNamed) return `no issuer maps ${dimension}, so every call would be refused`
  if (dimension !== 'role' && dimension !== 'group') return undefined
  const own = match.find((entry) => entry.dimension === dimension)?.test.kind
  if (own === 'anyOf' || own === 'glob' || namedValues(set, dimension).size > 0) return undefined
  return `no rule names a ${dimension}, so none would be counted: name them in match: {${dimension}: [...]}`
}

/** A run that callers name themselves is theirs alone only under a tenant and an agent, which their tokens say. */
function checkRunKeys(set: JoinedSet, report: Report): void {
  const naming = set.issuers.find(({ part }) => part.runHeader)?.part.name
  if (naming === undefined) return
  for (const { part, place } of [...set.limits, ...set.budgets, ...set.runs]) {
    const lacking = (['tenant', 'agent'] as const).filter((dimension) => !part.key.includes(dimension))
    if (!part.key.includes('run') || lacking.length === 0) continue
    const message = `counts by run without ${lacking.join(' and ')}: callers of issuer ${naming} name their runs themselves (runHeader), and could use up those of others`
    report(place, { code: 'P037', path: ['key'], message })
  }
}

/** A level that weighs more than a burst holds can never pass. */
function checkBursts(set: JoinedSet, report: Report): void {
  const { levels } = set.classification?.part ?? STANDARD_CLASSIFICATION
  for (const { part, place } of set.limits) {
    if (part.weigh === undefined) continue
    for (const [index, { unit, shape }] of part.rates.entries()) {
      const room = shape.kind === 'gcra' ? shape.burst : shape.amount
      const tooHeavy = levels.filter(({ weight }) => unit === 'requests' && weight > room).map(({ name }) => name)
      if (tooHeavy.length === 0) continue
      const message = `no call of level ${tooHeavy.join(', ')} ever fits: it weighs more than ${String(room)}`
      report(place, { code: 'P050', severity: 'warning', path: ['rates', index], message })
    }
  }
}

/** Whether everybody that an access rule lets in is held by some limit or budget. */
function checkCovered(set: JoinedSet, report: Report): void {
  const holding = [...set.limits, ...set.budgets, ...set.runs].map(({ part }) => part.match)
  for (const { part, place } of set.access) {
    if (part.allow === undefined || holding.some((match) => isImplied(match, part.match))) continue
    const message = `callers that ${part.name} lets in may be under no limit and no budget`
    report(place, { code: 'P056', severity: 'warning', message })
  }
}

/** Whether everything that passes `given` also passes `wanted`, as far as lists of values show. */
function isImplied(wanted: MatchText, given: MatchText): boolean {
  return wanted.every(({ dimension, test }) =>
    given.some((entry) => {
      if (entry.dimension !== dimension || entry.test.kind !== 'anyOf') return false
      if (test.kind === 'present') return test.present
      return test.kind === 'anyOf' && entry.test.values.every((value) => test.values.includes(value))
    }),
  )
}

function countersOf(part: LimitText | BudgetText | RunText): number {
  if ('rates' in part) return part.rates.length + (part.concurrent === undefined ? 0 : 1)
  return Array.isArray(part.limit) ? part.limit.length : 1
}

function checkAccumulators(set: JoinedSet, report: Report): void {
  const known = { role: namedValues(set, 'role').size, group: namedValues(set, 'group').size }
  const rules = [...set.limits, ...set.budgets, ...set.runs]
  const drawings = rules.map(({ part }): Drawing => {
    return { match: part.match, key: part.key, counters: countersOf(part) }
  })
  const last = rules.at(-1)
  if (last === undefined || !exceedsAccumulators(drawings, known)) return
  const message = `one call could draw from more than ${String(ACCUMULATORS_MAX)} counters: join rules, or narrow their match`
  report(last.place, { code: 'P036', message })
}
