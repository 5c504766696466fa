/**
 * Where a caller stands with one limit or budget: how much there is, how much is left, and when it is whole again.
 */
import type { AccumulatorShape, AccumulatorState } from '../domain/ledger/accumulator.ts'
import type { PlannedCharge } from '../domain/ledger/charges.ts'
import type { Facts } from '../domain/decision.ts'

export interface Standing {
  readonly charge: PlannedCharge
  readonly limit: number
  /** What a next call can take; what this one was admitted with is gone. */
  readonly remaining: number
  /** Milliseconds until all of it is there again if nothing more is used; undefined when time alone never brings it back. */
  readonly resetMs: number | undefined
}

/**
 * Every accumulator that was read for a call. Their states are from before the call's own charge; `taken` says whether that
 * came to stay.
 */
export function standingsOf(facts: Facts, taken: boolean): readonly Standing[] {
  const { charges, states, readAtMs } = facts
  if (charges === undefined || states === undefined || readAtMs === undefined) return []
  const standings: Standing[] = []
  for (let index = 0; index < charges.length; index += 1) {
    const [charge, state] = [charges[index], states[index]]
    if (charge !== undefined && state !== undefined) standings.push(standing(charge, state, taken, readAtMs))
  }
  return standings
}

function standing(charge: PlannedCharge, state: AccumulatorState, taken: boolean, nowMs: number): Standing {
  const { shape } = charge.accumulator
  // Time is taken by the clock alone.
  const drawn = taken && shape.kind !== 'span' ? charge.amount : 0
  const remaining = Math.max(0, Math.floor(state.limit - state.settled - state.held - drawn))
  return { charge, limit: state.limit, remaining, resetMs: resetAfter(shape, state.settled + drawn, nowMs) }
}

function resetAfter(shape: AccumulatorShape, used: number, nowMs: number): number | undefined {
  switch (shape.kind) {
    case 'budget':
      return shape.window === null ? undefined : Math.max(0, shape.window.endMs - nowMs)
    case 'concurrency':
    case 'span':
      return undefined
    case 'sliding':
      return used > 0 ? shape.windowMs : 0
    case 'bucket':
      return Math.ceil((used * shape.periodMs) / shape.amount)
  }
}

/** Time in which a limit comes back from nothing, in milliseconds; undefined where only the end of calls brings it back. */
export function wholeAfterMs(shape: AccumulatorShape, limit: number): number | undefined {
  switch (shape.kind) {
    case 'budget':
      return shape.window === null ? undefined : shape.window.endMs - shape.window.startMs
    case 'concurrency':
    case 'span':
      return undefined
    case 'sliding':
      return shape.windowMs
    case 'bucket':
      return (limit * shape.periodMs) / shape.amount
  }
}
