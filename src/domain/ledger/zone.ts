/**
 * Local time of IANA zones, by the time zone database that the runtime carries. An offset is asked for, never stored:
 * governments change them.
 */

const SECOND_MS = 1_000
const MINUTE_MS = 60_000

/** More zones than any policy set names; the runtime knows about 600. A formatter costs some 30 kB. */
const FORMATTERS_MAX = 1_000

/**
 * A formatter per zone, because making one costs a hundred times more than using it. Its content is a pure function of
 * its key, so it does not matter who fills it or when.
 */
const formatters = new Map<string, Intl.DateTimeFormat>()

function formatterOf(zone: string): Intl.DateTimeFormat {
  const known = formatters.get(zone)
  if (known) return known
  const made = new Intl.DateTimeFormat('en-US-u-ca-gregory-nu-latn', {
    timeZone: zone,
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  })
  if (formatters.size >= FORMATTERS_MAX) formatters.clear()
  formatters.set(zone, made)
  return made
}

/** `MM/DD/YYYY, hh:mm:ss`, as the pinned locale writes it. */
const LOCAL = /^(\d\d)\/(\d\d)\/(\d{1,6}), (\d\d):(\d\d):(\d\d)$/

/** What the zone's clocks show at an instant, as if they showed UTC: epoch milliseconds of the local wall time. */
export function wallTime(zone: string, nowMs: number): number {
  const wholeMs = Math.floor(nowMs / SECOND_MS) * SECOND_MS
  const text = formatterOf(zone).format(wholeMs)
  const match = LOCAL.exec(text)
  if (!match) throw new RangeError(`no local time in ${zone} for ${nowMs}: ${text}`)
  const [month, day, year, hour, minute, second] = match.slice(1).map(Number)
  const wall = Date.UTC(year ?? 0, (month ?? 1) - 1, day, hour, minute, second)
  return wall + (nowMs - wholeMs)
}

/** How far the zone's clocks are ahead of UTC at an instant, in milliseconds. */
export function zoneOffset(zone: string, nowMs: number): number {
  return wallTime(zone, nowMs) - nowMs
}

/** Whether the runtime knows this name as an IANA zone. Bare offsets such as `+02:00` are not zones: they have no summer. */
export function isTimeZone(zone: string): boolean {
  if (!/^[A-Za-z]/.test(zone)) return false
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: zone }) instanceof Intl.DateTimeFormat
  } catch {
    return false
  }
}

/** RFC 3339 with the zone's own offset, e.g. `2026-12-01T00:00:00+01:00`; milliseconds are dropped. */
export function formatInstant(zone: string, nowMs: number): string {
  const offset = zoneOffset(zone, nowMs)
  const wall = new Date(nowMs + offset).toISOString().slice(0, 19)
  if (offset === 0) return `${wall}Z`
  const minutes = Math.abs(Math.trunc(offset / MINUTE_MS))
  return `${wall}${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`
}

function two(value: number): string {
  return String(value).padStart(2, '0')
}
