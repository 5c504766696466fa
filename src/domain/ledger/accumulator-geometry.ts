/**
 * Numbers that every ledger must agree on: widths, rates and how long an accumulator is kept after its last use.
 */
import type { AccumulatorShape, CalendarWindow } from './accumulator.ts'

type Sliding = Extract<AccumulatorShape, { kind: 'sliding' }>
type Bucket = Extract<AccumulatorShape, { kind: 'bucket' }>
type Budget = Extract<AccumulatorShape, { kind: 'budget' }>
type Span = Extract<AccumulatorShape, { kind: 'span' }>

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** A short window outlives its end by an hour and some minutes, for settlements. Calls that settle later are in the log alone. */
const SHORT_WINDOW_KEPT_MS = 65 * 60_000

/** Day and month windows stay readable for the month after; later the audit log is the only copy. */
const LONG_WINDOW_KEPT_MS = 35 * DAY_MS

/** A settled reservation is remembered this long: a repeat or a delayed reserve within it changes nothing. */
export const TOMBSTONE_MS = 120_000

/**
 * The note of a settlement that its owner's log may not have yet is kept this long, and the settlement with it: a restart
 * within a day writes what was really spent. Owners release theirs within seconds, so what is kept are the last calls of
 * processes that died: about 400 bytes for each.
 */
export const NOTE_KEPT_MS = DAY_MS

/** A hold that expired can be corrected for this long; then its charge is final. */
export const EXPIRED_KEPT_MS = 7 * DAY_MS

/** A concurrency counter without holds is forgotten after this; only the newest limit's version is lost with it. */
export const IDLE_COUNTER_MS = HOUR_MS

/** A bucket stays one second longer than it needs to drain, so that forgetting it and keeping it mean the same. */
export const BUCKET_MARGIN_MS = 1_000

/** No wait and no time to live is longer (ten years, in milliseconds): absurd rates stay inside exact integers. */
export const HORIZON_MS = 3_650 * DAY_MS

/** Instant after which a calendar window's counter is no longer kept. */
export function windowKeptUntilMs(window: CalendarWindow): number {
  const isShort = window.endMs - window.startMs <= HOUR_MS
  return window.endMs + (isShort ? SHORT_WINDOW_KEPT_MS : LONG_WINDOW_KEPT_MS)
}

/** Instant after which a budget that was used at `nowMs` is no longer kept; null for ever. */
export function budgetKeptUntilMs({ window, keptMs }: Budget, nowMs: number): number | null {
  if (window !== null) return windowKeptUntilMs(window)
  return keptMs === undefined ? null : nowMs + keptMs
}

/** Instant after which a span of `limitMs` that began at `beganMs` is no longer kept. */
export function spanKeptUntilMs(shape: Span, beganMs: number, limitMs: number): number {
  return beganMs + limitMs + shape.keptMs
}

/** For windows whose start is not known any more: keeps at least as long as {@link windowKeptUntilMs}. */
export function restoredWindowKeptUntilMs(windowEndMs: number): number {
  return windowEndMs + LONG_WINDOW_KEPT_MS
}

/** Width of one sub-window. Rounded up, so that `slots` of them cover at least the whole window. */
export function subWindowUs(shape: Sliding): number {
  return Math.ceil((shape.windowMs * 1_000) / shape.slots)
}

/** One more slot than sub-windows: the oldest one is still partly inside the window that ends now. */
export function ringSize(shape: Sliding): number {
  return shape.slots + 1
}

/** Instant at which everything in a ring has left it: keeping it longer would mean nothing. */
export function ringKeptUntilMs(shape: Sliding, index: number): number {
  return Math.ceil(((index + ringSize(shape)) * subWindowUs(shape)) / 1_000)
}

/** Microseconds in which a bucket drains its `amount`. */
export function drainPeriodUs(shape: Bucket): number {
  return shape.periodMs * 1_000
}

/** Units a bucket drains in one microsecond. */
export function drainPerUs(shape: Bucket): number {
  return shape.amount / drainPeriodUs(shape)
}
