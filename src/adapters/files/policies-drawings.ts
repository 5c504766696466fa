/**
 * How many counters one call can draw from at most. Rules that name different values of one dimension never meet in one
 * call, so a set with a rule per team may have any number of teams.
 */
import { ACCUMULATORS_MAX } from '../../domain/ledger/accumulator.ts'
import type { Dimension } from '../../domain/policy/policy.ts'
import { FAN_OUT_MAX } from '../../domain/policy/rule-keys.ts'
import { RUN_PARTS_MAX } from '../../domain/ledger/run.ts'
import type { MatchText } from './policies-match.ts'

export interface Drawing {
  readonly match: MatchText
  readonly key: readonly Dimension[]
  /** Counters for one combination of values. */
  readonly counters: number
}

type Known = Readonly<Record<'role' | 'group', number>>

/** Cases looked at before the plain sum decides: a set that needs more is refused rather than not understood. */
const CASES_MAX = 20_000

interface Weighted {
  readonly counters: number
  /** Values that a single-valued dimension must have. */
  readonly only: ReadonlyMap<Dimension, ReadonlySet<string>>
}

export function exceedsAccumulators(drawings: readonly Drawing[], known: Known): boolean {
  const rules = drawings.map((drawing) => ({
    counters: drawing.counters * fanOut(drawing, known),
    only: onlyOf(drawing.match),
  }))
  const dimensions = [...new Set(rules.flatMap(({ only }) => [...only.keys()]))]
  return exceeds(rules, dimensions, { left: CASES_MAX })
}

/** Splits by the values of one dimension after another until every case is small enough, or one is not. */
function exceeds(rules: readonly Weighted[], dimensions: readonly Dimension[], cases: { left: number }): boolean {
  const total = rules.reduce((sum, { counters }) => sum + counters, 0)
  if (total <= ACCUMULATORS_MAX) return false
  const [dimension, ...others] = dimensions
  cases.left -= 1
  if (dimension === undefined || cases.left <= 0) return true
  const values = new Set(rules.flatMap(({ only }) => [...(only.get(dimension) ?? [])]))
  const free = rules.filter(({ only }) => !only.has(dimension))
  if (exceeds(free, others, cases)) return true
  return [...values].some((value) => {
    const meeting = rules.filter(({ only }) => only.get(dimension)?.has(value) ?? true)
    return exceeds(meeting, others, cases)
  })
}

function onlyOf(match: MatchText): ReadonlyMap<Dimension, ReadonlySet<string>> {
  const only = new Map<Dimension, ReadonlySet<string>>()
  for (const { dimension, test } of match) {
    if (test.kind === 'anyOf' && dimension !== 'role' && dimension !== 'group')
      only.set(dimension, new Set(test.values))
  }
  return only
}

function fanOut({ match, key }: Drawing, known: Known): number {
  let most = 1
  for (const dimension of key) {
    if (dimension === 'run') most *= RUN_PARTS_MAX
    if (dimension !== 'role' && dimension !== 'group') continue
    const own = match.find((entry) => entry.dimension === dimension)?.test
    const named = own?.kind === 'anyOf' ? own.values.length : own?.kind === 'glob' ? FAN_OUT_MAX : known[dimension]
    most *= Math.max(1, named)
  }
  return Math.min(FAN_OUT_MAX, most)
}
