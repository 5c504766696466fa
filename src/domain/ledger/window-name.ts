/**
 * What a calendar window is called in the key of its accumulator. Days, weeks and months are called by their local date and
 * not by their first instant: when a policy moves to another zone, time of day or first weekday, the window that runs goes
 * on with what it has spent, also while some nodes have the older policy. So nobody gets one day, week or month twice, and
 * what moves is only where the next one begins.
 */

const DAY_MS = 86_400_000

/** The fourth day of a week decides which week it is, as in ISO 8601: most of its days are in that week. */
const MIDDLE_DAY = 3

/** 1970-01-01, a Thursday, is this many days after the Monday of its week. */
const EPOCH_WEEKDAY = 3

/** Windows of hours and minutes, and those counted from the epoch: by their first instant. */
export function instantName(startMs: number): string {
  return Math.floor(startMs / 1_000).toString(36)
}

/** `2026-11-21`, `2026-11` or, for a week, the Monday of the week that most of its days belong to. */
export function dateName(period: 'day' | 'week' | 'month', firstDay: number): string {
  const day = period === 'week' ? mondayOf(firstDay + MIDDLE_DAY) : firstDay
  const date = new Date(day * DAY_MS).toISOString()
  return date.slice(0, period === 'month' ? 7 : 10)
}

/** The Monday of the week of a day; both are days since the epoch. */
function mondayOf(day: number): number {
  return day - ((((day + EPOCH_WEEKDAY) % 7) + 7) % 7)
}

const DATE_NAMED = /:\d{4}-\d\d(?:-\d\d)?$/

/**
 * Two windows of one date name end this far apart at most: 26 hours between zones, a day between times of day, six days
 * between first weekdays, and a day that a country skipped.
 */
const SPREAD_MS = 10 * DAY_MS

/**
 * Whether an accumulator can still be charged although a window under its key has ended at `endMs`: under another zone, time
 * of day or first weekday the same name may end later.
 */
export function mayBeOpen(key: string, endMs: number, nowMs: number): boolean {
  return endMs > nowMs || (DATE_NAMED.test(key) && endMs + SPREAD_MS > nowMs)
}
