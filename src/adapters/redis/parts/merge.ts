/**
 * One answer out of those of a decision's parts.
 */
import type { ReassertOutcome, ReserveOutcome, SettleOutcome, Shortfall } from '../../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../../domain/failures.ts'
import { joinParts, whole } from './parts.ts'
import type { Part } from './parts.ts'

export interface Answered<Outcome> {
  readonly part: Part
  readonly outcome: Outcome
}

type Held = Extract<ReserveOutcome, { kind: 'held' }>

export function isHeld(answer: Answered<ReserveOutcome>): answer is Answered<Held> {
  return answer.outcome.kind === 'held'
}

/**
 * Held when every part is. Otherwise the call must not go on, and what is held of it is to be given back: a calendar
 * window that is stale comes first, because the amounts are asked for anew, then every accumulator without room.
 */
export function mergeReserve(answers: readonly Answered<ReserveOutcome>[]): ReserveOutcome {
  const held = answers.filter(isHeld)
  if (held.length === answers.length) return mergeHeld(held)
  const stale = answers.flatMap(({ outcome }) => (outcome.kind === 'stale' ? outcome.nowMs : []))
  if (stale.length > 0) return { kind: 'stale', nowMs: Math.max(...stale) }
  const known = answers.flatMap(({ outcome }) => (outcome.kind === 'duplicate' ? outcome.state : []))
  if (known.length > 0) return { kind: 'duplicate', state: mergeKnown(known, answers.length) }
  return { kind: 'refused', shortfalls: answers.flatMap(shortfallsOf).toSorted((a, b) => a.index - b.index) }
}

function mergeHeld(answers: readonly Answered<Held>[]): ReserveOutcome {
  const hold = joinParts(answers.map(({ part, outcome }) => ({ part, hold: outcome.hold })))
  if (hold === undefined) throw new RangeError('a decision has at least one part')
  const states = whole(answers.map(({ part, outcome }) => ({ part, values: outcome.states })))
  // All parts were asked for the same answer.
  const granted = answers[0]?.outcome.granted
  return { kind: 'held', hold, states, ...(granted !== undefined && { granted }) }
}

/** A part that was settled or expired ends the whole. One that is held says nothing of parts that are not. */
function mergeKnown(known: readonly ('held' | 'expired' | 'settled')[], parts: number): 'held' | 'expired' | 'settled' {
  if (known.includes('settled')) return 'settled'
  if (known.includes('expired')) return 'expired'
  if (known.length === parts) return 'held'
  throw new LedgerUnavailable('Redis: a part of this reservation is held, and another is not')
}

function shortfallsOf({ part, outcome }: Answered<ReserveOutcome>): readonly Shortfall[] {
  if (outcome.kind !== 'refused') return []
  return outcome.shortfalls.map((shortfall) => ({
    ...shortfall,
    index: part.places?.[shortfall.index] ?? shortfall.index,
  }))
}

/** A part that a store lost makes the whole unknown: its owner may insist, and the other parts change nothing then. */
export function mergeSettle(outcomes: readonly SettleOutcome[]): SettleOutcome {
  if (outcomes.some(({ kind }) => kind === 'unknown')) return { kind: 'unknown' }
  const settled = outcomes.filter((outcome) => outcome.kind === 'settled')
  if (settled.length === 0) return { kind: 'already' }
  const before = (['expired', 'held'] as const).find((state) => settled.some((one) => one.before === state))
  return {
    kind: 'settled',
    before: before ?? 'unknown',
    overshoot: settled.reduce((sum, { overshoot }) => sum + overshoot, 0),
  }
}

export function mergeReassert(outcomes: readonly ReassertOutcome[]): ReassertOutcome {
  const known = outcomes.flatMap((outcome) => (outcome.kind === 'known' ? outcome.state : []))
  if (known.length < outcomes.length) return { kind: 'reasserted' }
  return { kind: 'known', state: mergeKnown(known, outcomes.length) }
}
