/**
 * Calendar windows in any zone. A window's edge is the first instant at which the zone's clocks show the edge's local
 * time or later: one that the clocks skip is replaced by the first instant after it, and one that they show twice counts
 * once. So windows are contiguous whatever the clocks do, and a day may have 23, 25 or any other number of hours.
 * Hours and minutes keep their length when the clocks are moved by whole hours; they are cut where they are moved by less.
 */
import type { CalendarWindow } from './accumulator.ts'
import type { Calendar, Period } from '../policy/policy.ts'
import { dateName, instantName } from './window-name.ts'
import { wallTime, zoneOffset } from './zone.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

/** No zone is further than 16 hours from UTC, historical local mean times included. */
const OFFSET_MAX_MS = 16 * HOUR_MS

/** Modern offsets are whole multiples of this, so stepping by it meets every edge that clocks show. */
const STEP_MS = 15 * MINUTE_MS

/** More calendars than a policy set has budgets. */
const CURRENT_MAX = 1_000

/** The epoch, 1970-01-01, was a Thursday: this many days after the Monday of its week. */
const EPOCH_WEEKDAY = 3

type DatePeriod = 'day' | 'week' | 'month'

/** A window and what it is called in the keys of its accumulators: different for any two windows of one calendar. */
export interface NamedWindow {
  readonly name: string
  readonly window: CalendarWindow
}

/**
 * The window each calendar was last asked for; while it contains the instant it is the answer, so the arithmetic runs once
 * a window. Every entry is a pure function of its key and of any instant within it.
 */
const current = new Map<string, NamedWindow>()

/** The window of a calendar that contains an instant; null for a lifetime, which has no edges. */
export function windowAt(calendar: Calendar, nowMs: number): NamedWindow | null {
  const { period, timeZone, atMinutes, weekStart } = calendar
  if (period === 'lifetime') return null
  const key = `${period} ${timeZone} ${atMinutes} ${weekStart}`
  const known = current.get(key)
  if (known !== undefined && known.window.startMs <= nowMs && nowMs < known.window.endMs) return known
  const found = findWindow(period, calendar, nowMs)
  if (current.size >= CURRENT_MAX) current.clear()
  current.set(key, found)
  return found
}

function findWindow(period: Exclude<Period, 'lifetime'>, calendar: Calendar, nowMs: number): NamedWindow {
  if (period !== 'minute' && period !== 'hour') return dateWindow(period, calendar, nowMs)
  const window = clockWindow(period === 'minute' ? MINUTE_MS : HOUR_MS, calendar.timeZone, nowMs)
  return { name: instantName(window.startMs), window }
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

function dateWindow(period: DatePeriod, calendar: Calendar, nowMs: number): NamedWindow {
  const { timeZone: zone, atMinutes, weekStart } = calendar
  const atMs = atMinutes * MINUTE_MS
  const edgeOf = (day: number) => edge(zone, day * DAY_MS + atMs)
  let day = firstDay(period, Math.floor((wallTime(zone, nowMs) - atMs) / DAY_MS), weekStart)
  // Clocks set back across an edge show the time before it again after the new window has begun.
  if (edgeOf(nextDay(period, day)) <= nowMs) day = nextDay(period, day)
  return { name: dateName(period, day), window: { startMs: edgeOf(day), endMs: edgeOf(nextDay(period, day)) } }
}

/** The day on which the period begins that a day is in; both are days since the epoch. */
function firstDay(period: DatePeriod, day: number, weekStart: number): number {
  if (period === 'day') return day
  if (period === 'week') return day - ((((day + EPOCH_WEEKDAY - weekStart) % 7) + 7) % 7)
  const date = new Date(day * DAY_MS)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), 1) / DAY_MS
}

function nextDay(period: DatePeriod, first: number): number {
  if (period === 'day') return first + 1
  if (period === 'week') return first + 7
  const date = new Date(first * DAY_MS)
  return Date.UTC(date.getUTCFullYear(), date.getUTCMonth() + 1, 1) / DAY_MS
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
