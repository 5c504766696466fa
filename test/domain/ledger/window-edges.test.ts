/** Windows that begin at a time of day or on another weekday, and what they are called. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Calendar, Period } from '../../../src/domain/policy/policy.ts'
import { mayBeOpen } from '../../../src/domain/ledger/window-name.ts'
import { windowAt } from '../../../src/domain/ledger/window.ts'
import type { NamedWindow } from '../../../src/domain/ledger/window.ts'
import { formatInstant, wallTime } from '../../../src/domain/ledger/zone.ts'
import { ZONES } from '../zones.ts'

const MINUTE_MS = 60_000
const HOUR_MS = 60 * MINUTE_MS
const DAY_MS = 24 * HOUR_MS

const instant = fc.integer({ min: Date.UTC(1972, 5, 1), max: Date.UTC(2099, 11, 31) })
const zone = fc.constantFrom(...ZONES)
const moved = {
  timeZone: zone,
  atMinutes: fc.integer({ min: 0, max: 1_439 }),
  weekStart: fc.integer({ min: 0, max: 6 }),
}
const dated = fc.record({ period: fc.constantFrom<Period>('day', 'week', 'month'), ...moved })

const QUARTER_MS = 15 * MINUTE_MS

/** The first quarter of an hour after each move of a zone's clocks in some years. */
const changes: readonly (readonly [zone: string, atMs: number])[] = ZONES.flatMap((timeZone) => {
  const offset = (atMs: number) => wallTime(timeZone, atMs) - atMs
  const found: (readonly [string, number])[] = []
  for (let nowMs = Date.UTC(2010, 0, 1); nowMs < Date.UTC(2013, 0, 1); nowMs += 6 * HOUR_MS) {
    if (offset(nowMs) === offset(nowMs + 6 * HOUR_MS)) continue
    let atMs = nowMs + QUARTER_MS
    while (offset(atMs) === offset(nowMs)) atMs += QUARTER_MS
    found.push([timeZone, atMs])
  }
  return found
})

/** A calendar whose edge lies within two hours of a move of its clocks, and an instant near it: skipped and doubled times. */
const nearChange = fc
  .tuple(
    fc.constantFrom<Period>('day', 'week', 'month'),
    fc.constantFrom(...changes),
    fc.integer({ min: -120, max: 120 }),
    fc.integer({ min: -3 * HOUR_MS, max: 3 * HOUR_MS }),
  )
  .map(([period, [timeZone, changeMs], minutes, awayMs]) => {
    const shown = Math.floor(wallTime(timeZone, changeMs) / MINUTE_MS) + minutes
    const day = Math.floor(wallTime(timeZone, changeMs) / DAY_MS)
    // A week that begins on the day of the move.
    const weekStart = (((day + 3) % 7) + 7) % 7
    return {
      one: { period, timeZone, atMinutes: ((shown % 1_440) + 1_440) % 1_440, weekStart },
      nowMs: changeMs + awayMs,
    }
  })

function named(calendar: Calendar, nowMs: number): NamedWindow {
  const found = windowAt(calendar, nowMs)
  if (found === null) throw new Error('no window')
  return found
}

function calendar(period: Period, timeZone: string, atMinutes: number, weekStart = 0): Calendar {
  return { period, timeZone, atMinutes, weekStart }
}

function spanOf(one: Calendar, text: string): { name: string; from: string; to: string } {
  const { name, window } = named(one, Date.parse(text))
  return { name, from: formatInstant(one.timeZone, window.startMs), to: formatInstant(one.timeZone, window.endMs) }
}

/** Every instant is in exactly one window: those of its neighbours meet it at both edges, with other names. */
function assertContiguous(one: Calendar, nowMs: number): void {
  const { name, window } = named(one, nowMs)
  expect(window.startMs).toBeLessThanOrEqual(nowMs)
  expect(window.endMs).toBeGreaterThan(nowMs)
  const [before, next] = [named(one, window.startMs - 1), named(one, window.endMs)]
  expect([before.window.endMs, next.window.startMs]).toEqual([window.startMs, window.endMs])
  expect(before.name < name && name < next.name).toBe(true)
  expect(named(one, window.endMs - 1)).toEqual({ name, window })
  expect(named(one, window.startMs)).toEqual({ name, window })
}

/** At the edge the clocks show its time, or a later one because they skip it; never before, back to three hours earlier. */
function assertEdge(one: Calendar, nowMs: number): void {
  const { startMs } = named(one, nowMs).window
  const shown = wallTime(one.timeZone, startMs)
  const into = (((shown - one.atMinutes * MINUTE_MS) % DAY_MS) + DAY_MS) % DAY_MS
  const before = [1, ...Array.from({ length: 12 }, (_, quarter) => (quarter + 1) * 15 * MINUTE_MS)]
  for (const agoMs of before) expect(wallTime(one.timeZone, startMs - agoMs)).toBeLessThan(shown - into)
}

describe('a window that begins at a time of day', () => {
  test('meets its neighbours, at any instant of any zone', () => {
    fc.assert(fc.property(dated, instant, assertContiguous), { numRuns: 400 })
  })

  test('meets its neighbours around every move of the clocks', () => {
    expect(changes.length).toBeGreaterThan(50)
    const near = fc.tuple(fc.constantFrom(...changes), fc.integer({ min: -30 * HOUR_MS, max: 30 * HOUR_MS }))
    fc.assert(
      fc.property(dated, near, (one, [[timeZone, nearMs], awayMs]) =>
        assertContiguous({ ...one, timeZone }, nearMs + awayMs),
      ),
      { numRuns: 300 },
    )
    fc.assert(
      fc.property(nearChange, ({ one, nowMs }) => assertContiguous(one, nowMs)),
      { numRuns: 2_000 },
    )
  })

  test('begins when the clocks first show that time, or at the first instant after one that they skip', () => {
    const near = fc.tuple(fc.constantFrom(...changes), fc.integer({ min: -30 * HOUR_MS, max: 30 * HOUR_MS }))
    fc.assert(
      fc.property(dated, near, (one, [[timeZone, nearMs], awayMs]) =>
        assertEdge({ ...one, timeZone }, nearMs + awayMs),
      ),
      { numRuns: 600 },
    )
    fc.assert(
      fc.property(nearChange, ({ one, nowMs }) => assertEdge(one, nowMs)),
      { numRuns: 1_000 },
    )
    fc.assert(fc.property(dated, instant, assertEdge), { numRuns: 200 })
  })

  test('is that of the day before until then', () => {
    const six = calendar('day', 'Asia/Tokyo', 360)
    const first = { name: '2026-11-20', from: '2026-11-20T06:00:00+09:00', to: '2026-11-21T06:00:00+09:00' }
    expect(spanOf(six, '2026-11-20T20:59:59.999Z')).toEqual(first)
    expect(spanOf(six, '2026-11-20T21:00:00Z')).toMatchObject({ name: '2026-11-21', from: first.to })
    expect(spanOf(calendar('month', 'UTC', 90), '2028-03-01T01:29:59Z')).toEqual({
      name: '2028-02',
      from: '2028-02-01T01:30:00Z',
      to: '2028-03-01T01:30:00Z',
    })
    expect(spanOf(calendar('day', 'UTC', 1_439), '2028-02-29T23:58:59Z').name).toBe('2028-02-28')
    expect(spanOf(calendar('day', 'UTC', 1_439), '2028-02-29T23:59:00Z').name).toBe('2028-02-29')
  })

  test('begins after a time that clocks skip, and at the first of two that they show twice', () => {
    const half = calendar('day', 'Europe/Berlin', 150)
    expect(spanOf(half, '2026-03-29T12:00:00Z')).toEqual({
      name: '2026-03-29',
      from: '2026-03-29T03:00:00+02:00',
      to: '2026-03-30T02:30:00+02:00',
    })
    const autumn = { name: '2026-10-25', from: '2026-10-25T02:30:00+02:00', to: '2026-10-26T02:30:00+01:00' }
    // 02:10 is shown again, after the first 02:30; asked first, so that nothing is known of the window yet.
    expect(spanOf(half, '2026-10-25T01:10:00Z')).toEqual(autumn)
    expect(spanOf(half, '2026-10-25T00:30:00Z')).toEqual(autumn)
    expect(spanOf(half, '2026-10-25T00:29:59Z').name).toBe('2026-10-24')
  })

  test('is cut short by a day that a country skipped, and none is left out', () => {
    const six = calendar('day', 'Pacific/Apia', 360)
    const cut = { name: '2011-12-30', from: '2011-12-31T00:00:00+14:00', to: '2011-12-31T06:00:00+14:00' }
    expect(spanOf(six, '2011-12-30T09:59:59Z')).toMatchObject({ name: '2011-12-29', to: cut.from })
    expect(spanOf(six, '2011-12-30T10:00:00Z')).toEqual(cut)
    expect(spanOf(six, '2011-12-30T16:00:00Z')).toMatchObject({ name: '2011-12-31', from: cut.to })
  })
})

describe('a window', () => {
  test('is computed once: the same is answered for every instant within it', () => {
    const one = calendar('day', 'Europe/Berlin', 405)
    expect(named(one, Date.parse('2026-11-21T10:00:00Z'))).toBe(named({ ...one }, Date.parse('2026-11-21T11:00:00Z')))
  })
})

describe('a week', () => {
  test('begins on its own weekday', () => {
    fc.assert(
      fc.property(dated, instant, (one, nowMs) => {
        const week = { ...one, period: 'week' as const }
        const { startMs } = named(week, nowMs).window
        const begun = wallTime(week.timeZone, startMs) - week.atMinutes * MINUTE_MS
        // A country that skipped a day may have skipped the first of the week.
        fc.pre(begun % DAY_MS === 0)
        expect((new Date(begun).getUTCDay() + 6) % 7).toBe(week.weekStart)
      }),
      { numRuns: 300 },
    )
    expect(spanOf(calendar('week', 'Asia/Tokyo', 300, 6), '2026-11-21T19:59:59Z')).toEqual({
      name: '2026-11-16',
      from: '2026-11-15T05:00:00+09:00',
      to: '2026-11-22T05:00:00+09:00',
    })
  })
})

describe('the name of a window', () => {
  const window = (period: Period) => fc.record({ period: fc.constant(period), ...moved })

  test.each(['day', 'week', 'month'] as const)(
    'of a %s goes on when zone, time or weekday move, at most to the next',
    (period) => {
      fc.assert(
        fc.property(window(period), window(period), instant, (one, other, nowMs) => {
          const [was, is] = [named(one, nowMs), named(other, nowMs)]
          const around = [named(one, was.window.startMs - 1), was, named(one, was.window.endMs)]
          // Zones lie up to 26 hours apart and times of day up to 24: two days and a little.
          if (period === 'day')
            around.push(named(one, around[0]!.window.startMs - 1), named(one, around[2]!.window.endMs))
          if (period === 'day')
            around.push(named(one, around[3]!.window.startMs - 1), named(one, around[4]!.window.endMs))
          expect(around.map(({ name }) => name)).toContain(is.name)
        }),
        { numRuns: 300 },
      )
    },
  )

  test('does not tell zones, times and weekdays apart in the middle of a month or week', () => {
    const names = (period: Period, text: string) =>
      new Set(
        ZONES.flatMap((timeZone) =>
          [0, 1_439].flatMap((atMinutes) =>
            [0, 3].map((weekStart) => spanOf({ period, timeZone, atMinutes, weekStart }, text).name),
          ),
        ),
      )
    expect([...names('month', '2026-11-15T12:00:00Z')]).toEqual(['2026-11'])
    expect([...names('week', '2026-11-21T12:00:00Z')]).toEqual(['2026-11-16'])
  })

  test('keeps an accumulator open as long as a window of that name may run in any zone', () => {
    fc.assert(
      fc.property(dated, dated, instant, (one, other, nowMs) => {
        const { period } = one
        const is = named({ ...other, period }, nowMs)
        const ended = Array.from({ length: 14 }, (_, days) => named({ ...one, period }, nowMs - days * DAY_MS))
        const alike = ended.filter(({ name }) => name === is.name)
        expect(alike.every(({ window }) => mayBeOpen(`rule:acme:${is.name}`, window.endMs, nowMs))).toBe(true)
      }),
      { numRuns: 400 },
    )
    const endMs = Date.parse('2026-11-21T00:00:00Z')
    expect(mayBeOpen('rule:acme:2026-11-20', endMs, endMs + 11 * DAY_MS)).toBe(false)
    expect(mayBeOpen('rule:acme:t0z8w0', endMs, endMs)).toBe(false)
    expect(mayBeOpen('rule:acme:t0z8w0', endMs, endMs - 1)).toBe(true)
  })
})
