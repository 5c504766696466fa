/**
 * Budgets (settled plus held) and concurrency (held only). Admission: settled + held + amount <= limit.
 *
 * A settlement replaces what was held by what the call cost, in the window that held it; so with cost <= held the sum
 * never grows, and settled spend never passes the limit.
 */
import type { AccumulatorShape, AccumulatorState, Charge } from '../../domain/ledger/accumulator.ts'
import {
  IDLE_COUNTER_MS,
  budgetKeptUntilMs,
  restoredWindowKeptUntilMs,
} from '../../domain/ledger/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { Shelf } from './shelf.ts'
import { limitInForce } from './verdict.ts'
import type { LimitInForce, Verdict } from './verdict.ts'

export interface Counter {
  readonly settled: number
  readonly held: number
  readonly inForce: LimitInForce | undefined
}

type CounterShape = Extract<AccumulatorShape, { kind: 'budget' | 'concurrency' }>

/** A charge whose accumulator is a counter. */
export type CounterCharge = Charge & { readonly accumulator: { readonly shape: CounterShape } }

export type Counters = Shelf<Counter>

const EMPTY: Counter = { settled: 0, held: 0, inForce: undefined }

function keptUntilMs(shape: CounterShape, counter: Counter, nowMs: number): number | null {
  if (shape.kind === 'concurrency') return counter.held > 0 ? null : nowMs + IDLE_COUNTER_MS
  return budgetKeptUntilMs(shape, nowMs)
}

/** True when the ledger's clock is outside of the window that the caller computed. */
export function isStaleWindow(shape: AccumulatorShape, nowMs: number): boolean {
  if (shape.kind !== 'budget' || shape.window === null) return false
  return nowMs < shape.window.startMs || nowMs >= shape.window.endMs
}

/** Only the window's end brings back what is settled; what is held comes back by settlement, not by time. */
function retryAfterMs(charge: CounterCharge, state: AccumulatorState, nowMs: number): number | null {
  const { shape } = charge.accumulator
  if (shape.kind !== 'budget' || shape.window === null || charge.amount > state.limit) return null
  return state.settled + charge.amount > state.limit ? shape.window.endMs - nowMs : null
}

export function judgeCounter(counters: Counters, charge: CounterCharge, nowMs: number): Verdict {
  const { accumulator, amount } = charge
  const name = accumulatorName(accumulator)
  const { settled, held, inForce: stored } = counters.get(name, nowMs) ?? EMPTY
  const inForce = limitInForce(accumulator, stored)
  const state = { limit: inForce.limit, settled, held }
  const isShort = state.limit - settled - held - amount < 0
  return {
    state,
    refusal: isShort ? { retryAfterMs: retryAfterMs(charge, state, nowMs) } : undefined,
    take: (taken) => {
      const after = { settled, held: held + taken, inForce }
      counters.put(name, after, keptUntilMs(accumulator.shape, after, nowMs))
      return 0
    },
  }
}

/** Whether a counter that is not there comes to be by a settlement: only one that is kept for ever. */
function isForEver(shape: CounterShape): boolean {
  return shape.kind === 'budget' && shape.window === null && shape.keptMs === undefined
}

/**
 * Frees `free` of what is held and adds `add` to what is settled (negative to correct an expired hold). A counter that is
 * no longer kept is not brought back: its time is over, and its spend is on record in the audit log.
 */
export function postCounter(
  counters: Counters,
  charge: CounterCharge,
  change: { readonly free: number; readonly add: number; readonly nowMs: number },
): void {
  const { shape } = charge.accumulator
  const name = accumulatorName(charge.accumulator)
  const counter = counters.get(name, change.nowMs)
  if (!counter && !isForEver(shape)) return
  const { settled, held, inForce } = counter ?? EMPTY
  const after = { settled: settled + change.add, held: Math.max(0, held - change.free), inForce }
  counters.put(name, after, keptUntilMs(shape, after, change.nowMs))
}

/** Spend of one budget window that was settled before this process started. */
export interface RestoredSpend {
  /** Key of the accumulator, the window's start included. */
  readonly key: string
  readonly settled: number
  /** Null for a lifetime budget. */
  readonly windowEndMs: number | null
  /** When a budget is forgotten that is kept for a time after its last use. */
  readonly keptUntilMs?: number | undefined
}

/** Adds spend that was settled before this process started. */
export function restoreBudget(counters: Counters, entry: RestoredSpend, nowMs: number): void {
  const name = accumulatorName({
    key: entry.key,
    shard: 0,
    shape: { kind: 'budget', window: null },
    limit: 0,
    limitVersion: 0,
  })
  const before = counters.get(name, nowMs) ?? EMPTY
  const windowUntil = entry.windowEndMs === null ? null : restoredWindowKeptUntilMs(entry.windowEndMs)
  const until = entry.keptUntilMs ?? windowUntil
  counters.put(name, { ...before, settled: before.settled + entry.settled }, until)
}
