/**
 * How a compiled rule is counted: which kind of accumulator, with which limit, over which window.
 */
import type { AccumulatorShape } from './accumulator.ts'
import type { BudgetRule, LimitRule, RunRule } from '../policy/policy.ts'
import { instantName } from './window-name.ts'
import { alignedWindow, windowAt } from './window.ts'
import type { NamedWindow } from './window.ts'

export type Countable = LimitRule | BudgetRule | RunRule

export interface Counted {
  readonly shape: AccumulatorShape
  readonly limit: number
  /** Present for everything that starts anew at an edge; its name is part of the accumulator's key. */
  readonly named: NamedWindow | undefined
}

const HOUR_MS = 3_600_000

/** Sub-windows of a ring: capacity comes back at most one of them late, so long windows are cut finer. */
const SLOTS = 12
const SLOTS_LONG = 30

/** Used where a window of odd seconds does not divide by 12: sub-windows are whole milliseconds. */
const SLOTS_ODD = 10

export function shapeOf(rule: Countable, nowMs: number): Counted {
  if ('kind' in rule) return { shape: runShape(rule), limit: rule.amount, named: undefined }
  if (!('shape' in rule)) {
    const named = windowAt(rule, nowMs)
    return { shape: { kind: 'budget', window: named?.window ?? null }, limit: rule.amount, named: named ?? undefined }
  }
  const { shape } = rule
  switch (shape.kind) {
    case 'gcra': {
      const { amount, periodMs, burst } = shape
      return { shape: { kind: 'bucket', amount, periodMs }, limit: burst, named: undefined }
    }
    case 'sliding': {
      const { amount, periodMs } = shape
      return {
        shape: { kind: 'sliding', windowMs: periodMs, slots: slotsOf(periodMs) },
        limit: amount,
        named: undefined,
      }
    }
    case 'fixed': {
      const window = alignedWindow(shape.periodMs, nowMs)
      const named = { name: instantName(window.startMs), window }
      return { shape: { kind: 'budget', window }, limit: shape.amount, named }
    }
    case 'concurrent':
      return { shape: { kind: 'concurrency' }, limit: shape.amount, named: undefined }
  }
}

/**
 * What a run has used is remembered this long after its last call, and its end this long after it: a finished run stays
 * finished for a week, and the runs of all agents do not pile up. A name that comes back later is a new run.
 */
const RUN_KEPT_MS = 7 * 24 * HOUR_MS

function runShape({ unit }: RunRule): AccumulatorShape {
  return unit === 'ms' ? { kind: 'span', keptMs: RUN_KEPT_MS } : { kind: 'budget', window: null, keptMs: RUN_KEPT_MS }
}

function slotsOf(windowMs: number): number {
  if (windowMs >= HOUR_MS) return SLOTS_LONG
  return windowMs % SLOTS === 0 ? SLOTS : SLOTS_ODD
}
