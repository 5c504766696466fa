import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Period } from '../../../src/domain/policy/policy.ts'
import { alignedWindow, windowAt } from '../../../src/domain/ledger/window.ts'
import { ZONES } from '../zones.ts'
import { formatInstant, isTimeZone, wallTime } from '../../../src/domain/ledger/zone.ts'

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

const zone = fc.constantFrom(...ZONES)
const instant = fc.integer({ min: Date.UTC(1972, 5, 1), max: Date.UTC(2099, 11, 31) })
const calendar = fc.constantFrom<Period>('minute', 'hour', 'day', 'week', 'month')
const dated = fc.constantFrom<Period>('day', 'week', 'month')

const at = (text: string) => Date.parse(text)

/** The window from midnight, of weeks from Monday. */
function windowOf(period: Period, timeZone: string, nowMs: number) {
  return windowAt({ period, timeZone, atMinutes: 0, weekStart: 0 }, nowMs)?.window ?? null
}

function spanOf(period: Period, timeZone: string, text: string): { from: string; to: string; hours: number } {
  const window = windowOf(period, timeZone, at(text))
  if (window === null) throw new Error('no window')
  const { startMs, endMs } = window
  return {
    from: formatInstant(timeZone, startMs),
    to: formatInstant(timeZone, endMs),
    hours: (endMs - startMs) / HOUR_MS,
  }
}

describe('a calendar window', () => {
  test('contains the instant it was asked for', () => {
    fc.assert(
      fc.property(calendar, zone, instant, (period, timeZone, nowMs) => {
        const window = windowOf(period, timeZone, nowMs)
        expect(window).not.toBeNull()
        expect(window!.startMs).toBeLessThanOrEqual(nowMs)
        expect(window!.endMs).toBeGreaterThan(nowMs)
      }),
      { numRuns: 600 },
    )
  })

  test('is the same for every instant within it, and the next one begins where it ends', () => {
    fc.assert(
      fc.property(
        calendar,
        zone,
        instant,
        fc.double({ min: 0, max: 1, noNaN: true }),
        (period, timeZone, nowMs, part) => {
          const window = windowOf(period, timeZone, nowMs)!
          const inside = window.startMs + Math.floor((window.endMs - 1 - window.startMs) * part)
          const next = windowOf(period, timeZone, window.endMs)!
          const before = windowOf(period, timeZone, window.startMs - 1)!
          expect(next.startMs).toBe(window.endMs)
          expect(before.endMs).toBe(window.startMs)
          expect(windowOf(period, timeZone, inside)).toEqual(window)
        },
      ),
      { numRuns: 400 },
    )
  })

  test('of a day, week or month begins at local midnight, or at the first instant after one that clocks skip', () => {
    fc.assert(
      fc.property(dated, zone, instant, (period, timeZone, nowMs) => {
        const { startMs } = windowOf(period, timeZone, nowMs)!
        const shown = wallTime(timeZone, startMs)
        if (shown % DAY_MS === 0) return
        const midnight = Math.floor(shown / DAY_MS) * DAY_MS
        expect(wallTime(timeZone, startMs - 1)).toBeLessThan(midnight)
      }),
      { numRuns: 400 },
    )
  })

  test('of a week begins on a Monday, of a month on the first', () => {
    const noSkippedDays = fc.constantFrom(
      ...ZONES.filter((name) => name !== 'Pacific/Apia' && name !== 'Pacific/Kwajalein'),
    )
    fc.assert(
      fc.property(noSkippedDays, instant, (timeZone, nowMs) => {
        expect(new Date(wallTime(timeZone, windowOf('week', timeZone, nowMs)!.startMs)).getUTCDay()).toBe(1)
        expect(new Date(wallTime(timeZone, windowOf('month', timeZone, nowMs)!.startMs)).getUTCDate()).toBe(1)
      }),
      { numRuns: 200 },
    )
  })

  test('of a lifetime has no edges', () => {
    expect(windowOf('lifetime', 'UTC', 0)).toBeNull()
  })

  test('has 23 hours when clocks go forward and 25 when they go back', () => {
    expect(spanOf('day', 'Europe/Berlin', '2026-03-29T12:00:00Z')).toEqual({
      from: '2026-03-29T00:00:00+01:00',
      to: '2026-03-30T00:00:00+02:00',
      hours: 23,
    })
    expect(spanOf('day', 'Europe/Berlin', '2026-10-25T12:00:00Z').hours).toBe(25)
    expect(spanOf('day', 'America/Los_Angeles', '2026-03-08T20:00:00Z').hours).toBe(23)
    expect(spanOf('month', 'Europe/Berlin', '2026-10-10T00:00:00Z')).toEqual({
      from: '2026-10-01T00:00:00+02:00',
      to: '2026-11-01T00:00:00+01:00',
      hours: 31 * 24 + 1,
    })
  })

  test('has the odd length of a half-hour summer', () => {
    expect(spanOf('day', 'Australia/Lord_Howe', '2026-04-05T02:00:00Z').hours).toBe(24.5)
    expect(spanOf('day', 'Australia/Lord_Howe', '2026-10-04T02:00:00Z').hours).toBe(23.5)
  })

  test('begins after a midnight that clocks skip', () => {
    expect(spanOf('day', 'America/Sao_Paulo', '2018-11-04T12:00:00Z')).toEqual({
      from: '2018-11-04T01:00:00-02:00',
      to: '2018-11-05T00:00:00-02:00',
      hours: 23,
    })
  })

  test('begins at the first of two midnights, and goes on when clocks show the old date again', () => {
    expect(spanOf('day', 'America/Havana', '2026-11-01T12:00:00Z')).toEqual({
      from: '2026-11-01T00:00:00-04:00',
      to: '2026-11-02T00:00:00-05:00',
      hours: 25,
    })
    // Until 2011 Newfoundland set its clocks from 00:01 back to 23:01 of the day before.
    expect(spanOf('day', 'America/St_Johns', '2010-11-07T03:00:00Z')).toEqual({
      from: '2010-11-07T00:00:00-02:30',
      to: '2010-11-08T00:00:00-03:30',
      hours: 25,
    })
  })

  test('steps over a day that a country skipped', () => {
    expect(spanOf('day', 'Pacific/Apia', '2011-12-30T09:59:59Z')).toEqual({
      from: '2011-12-29T00:00:00-10:00',
      to: '2011-12-31T00:00:00+14:00',
      hours: 24,
    })
  })

  test('of February has 29 days in leap years only', () => {
    expect(spanOf('month', 'UTC', '2028-02-29T23:59:59Z').hours).toBe(29 * 24)
    expect(spanOf('month', 'UTC', '2100-02-10T00:00:00Z').hours).toBe(28 * 24)
    expect(spanOf('day', 'Asia/Tokyo', '2028-02-29T15:00:00Z').from).toBe('2028-03-01T00:00:00+09:00')
  })

  test('of a week lies where its own zone says, not where another does', () => {
    expect(spanOf('week', 'Asia/Tokyo', '2026-11-22T14:59:59Z').from).toBe('2026-11-16T00:00:00+09:00')
    expect(spanOf('week', 'Asia/Tokyo', '2026-11-22T15:00:00Z').from).toBe('2026-11-23T00:00:00+09:00')
  })

  test('of an hour keeps its length when clocks move by an hour, and is cut when they move by half of one', () => {
    expect(spanOf('hour', 'Europe/Berlin', '2026-10-25T00:30:00Z').hours).toBe(1)
    expect(spanOf('hour', 'Europe/Berlin', '2026-10-25T01:30:00Z').hours).toBe(1)
    expect(spanOf('hour', 'Asia/Kathmandu', '2026-01-01T00:20:00Z').from).toBe('2026-01-01T06:00:00+05:45')
    expect(spanOf('hour', 'Australia/Lord_Howe', '2026-04-04T15:10:00Z')).toEqual({
      from: '2026-04-05T01:30:00+10:30',
      to: '2026-04-05T02:00:00+10:30',
      hours: 0.5,
    })
    // Venezuela moved its clocks from 02:30 to 03:00.
    expect(spanOf('hour', 'America/Caracas', '2016-05-01T06:45:00Z')).toEqual({
      from: '2016-05-01T02:00:00-04:30',
      to: '2016-05-01T03:00:00-04:00',
      hours: 0.5,
    })
  })

  test('that is aligned to the epoch has whole periods', () => {
    expect(alignedWindow(DAY_MS, at('2026-11-20T10:00:00Z'))).toEqual({
      startMs: at('2026-11-20T00:00:00Z'),
      endMs: at('2026-11-21T00:00:00Z'),
    })
  })
})

describe('a time zone', () => {
  test('is an IANA name that the runtime knows; offsets and inventions are not', () => {
    expect(['UTC', 'Europe/Berlin', 'America/Argentina/Buenos_Aires'].every(isTimeZone)).toBe(true)
    expect(['+02:00', '', 'Europe/Atlantis', 'Berlin', ' UTC'].some(isTimeZone)).toBe(false)
  })

  test('writes an instant with its own offset', () => {
    expect(formatInstant('Europe/Berlin', at('2026-11-30T23:00:00Z'))).toBe('2026-12-01T00:00:00+01:00')
    expect(formatInstant('America/St_Johns', at('2026-07-01T02:30:00Z'))).toBe('2026-07-01T00:00:00-02:30')
    expect(formatInstant('UTC', at('2026-07-01T00:00:00Z'))).toBe('2026-07-01T00:00:00Z')
  })

  test('reads back what it writes', () => {
    fc.assert(
      fc.property(zone, instant, (timeZone, nowMs) => {
        const second = Math.floor(nowMs / 1_000) * 1_000
        expect(Date.parse(formatInstant(timeZone, second))).toBe(second)
      }),
      { numRuns: 200 },
    )
  })
})
