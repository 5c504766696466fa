/**
 * Calendar windows in any zone. A window's edge is the first instant at which the zone's clocks show the edge's local
 * time or later: a midnight that the clocks skip is replaced by the first instant after it, and one that they show twice
 * counts once. So windows are contiguous whatever the clocks do, and a day may have 23, 25 or any other number of hours.
 * Hours and minutes keep their length when the clocks are moved by whole hours; they are cut where they are moved by less.
 */
import type { CalendarWindow } from './accumulator.ts'
import type { Period } from './policy.ts'
import { wallTime, zoneOffset } from './zone.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** No zone is further than 16 hours from UTC, historical local mean times included. */
const OFFSET_MAX_MS = 16 * HOUR_MS

/** Modern offsets are whole multiples of this, so stepping by it meets every edge that clocks show. */
const STEP_MS = 15 * MINUTE_MS

/** More (period, zone) pairs than a policy set has budgets. */
const CURRENT_MAX = 1_000

/** The epoch, 1970-01-01, was a Thursday: this many days after the Monday of its week. */
const EPOCH_WEEKDAY = 3

type CalendarPeriod = Exclude<Period, 'lifetime'>

/**
 * The window each (period, zone) was last asked for; while it contains the instant it is the answer, so the arithmetic
 * runs once a window. Every entry is a pure function of its key and of any instant within it.
 */
const current = new Map<string, CalendarWindow>()

/** The window of a period that contains an instant; null for a lifetime, which has no edges. */
export function windowAt(period: Period, timeZone: string, nowMs: number): CalendarWindow | null {
  if (period === 'lifetime') return null
  const key = `${period} ${timeZone}`
  const known = current.get(key)
  if (known !== undefined && known.startMs <= nowMs && nowMs < known.endMs) return known
  const found = findWindow(period, timeZone, nowMs)
  if (current.size >= CURRENT_MAX) current.clear()
  current.set(key, found)
  return found
}

function findWindow(period: CalendarPeriod, zone: string, nowMs: number): CalendarWindow {
  if (period === 'minute') return clockWindow(MINUTE_MS, zone, nowMs)
  if (period === 'hour') return clockWindow(HOUR_MS, zone, nowMs)
  return dateWindow(period, zone, nowMs)
}

/** A window aligned to the whole hours or minutes of epoch milliseconds, counted from the epoch. */
export function alignedWindow(periodMs: number, nowMs: number): CalendarWindow {
  const startMs = Math.floor(nowMs / periodMs) * periodMs
  return { startMs, endMs: startMs + periodMs }
}

/** Whole hours or minutes of the local clock, cut where the clock's alignment changes. */
function clockWindow(lengthMs: number, zone: string, nowMs: number): CalendarWindow {
  const shift = alignment(lengthMs, zone, nowMs)
  const { startMs, endMs } = alignedWindow(lengthMs, nowMs + shift)
  const window = { startMs: startMs - shift, endMs: endMs - shift }
  const differs = (atMs: number) => alignment(lengthMs, zone, atMs) !== shift
  return {
    startMs: differs(window.startMs) ? firstInstant(window.startMs, nowMs, (atMs) => !differs(atMs)) : window.startMs,
    endMs: differs(window.endMs - 1) ? firstInstant(nowMs, window.endMs, differs) : window.endMs,
  }
}

function alignment(lengthMs: number, zone: string, atMs: number): number {
  const offset = zoneOffset(zone, atMs) % lengthMs
  return offset < 0 ? offset + lengthMs : offset
}

function dateWindow(period: 'day' | 'week' | 'month', zone: string, nowMs: number): CalendarWindow {
  let wall = periodStart(period, wallTime(zone, nowMs))
  // Clocks set back across midnight show the old date again after the new day has begun.
  if (edge(zone, nextStart(period, wall)) <= nowMs) wall = nextStart(period, wall)
  return { startMs: edge(zone, wall), endMs: edge(zone, nextStart(period, wall)) }
}

/** Local midnight at which the period begins that contains a local time. */
function periodStart(period: 'day' | 'week' | 'month', wall: number): number {
  const day = Math.floor(wall / DAY_MS)
  if (period === 'day') return day * DAY_MS
  if (period === 'week') return (day - ((((day + EPOCH_WEEKDAY) % 7) + 7) % 7)) * DAY_MS
  const date = new Date(wall)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1)
}

function nextStart(period: 'day' | 'week' | 'month', wall: number): number {
  if (period === 'day') return wall + DAY_MS
  if (period === 'week') return wall + 7 * DAY_MS
  const date = new Date(wall)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1)
}

/** The first instant at which the zone's clocks show `wall` or later. */
function edge(zone: string, wall: number): number {
  const from = wall - OFFSET_MAX_MS
  const until = wall + OFFSET_MAX_MS
  // The same offset at both ends means that the clocks were not set forward past the edge in between.
  const offset = zoneOffset(zone, from)
  if (offset === zoneOffset(zone, wall - offset)) return wall - offset
  const reached = (atMs: number) => wallTime(zone, atMs) >= wall
  for (let atMs = from; atMs < until; atMs += STEP_MS) {
    if (reached(atMs + STEP_MS)) return firstInstant(atMs, atMs + STEP_MS, reached)
  }
  throw new RangeError(`no instant in ${zone} shows ${new Date(wall).toISOString()}`)
}

/** The first whole millisecond in (before, at] that passes; `before` does not, `at` does, with one change between. */
function firstInstant(before: number, at: number, passes: (atMs: number) => boolean): number {
  let [low, high] = [before, at]
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2)
    if (passes(middle)) high = middle
    else low = middle
  }
  return high
}
