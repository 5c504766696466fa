import { expect, test } from 'vitest'

import { createMemoryLedger } from '../../../src/adapters/memory/ledger.ts'
import {
  HOUR,
  accumulator,
  asks,
  bucket,
  hold,
  hourly,
  lifetime,
  places,
  ring,
  take,
} from '../../contract/ledger-fixtures.ts'

function open() {
  const clock = { now: 1_800_000_000_000 }
  return { clock, ledger: createMemoryLedger({ clock: { nowMs: () => clock.now } }) }
}

test('restored spend counts in its window as if it had been settled here', async () => {
  const { clock, ledger } = open()
  const window = hourly(clock.now, 100)
  const endMs = window.shape.kind === 'budget' ? (window.shape.window?.endMs ?? 0) : 0
  ledger.restore([
    { key: window.key, settled: 60, windowEndMs: endMs },
    { key: window.key, settled: 15, windowEndMs: endMs },
    { key: 'all', settled: 7, windowEndMs: null },
  ])
  expect(await ledger.balances([window, lifetime(10, { key: 'all' })])).toEqual([
    { limit: 100, settled: 75, held: 0 },
    { limit: 10, settled: 7, held: 0 },
  ])
  expect(await ledger.reserve(asks([take(window, 26)]))).toMatchObject({ kind: 'refused' })
  expect(await ledger.reserve(asks([take(window, 25)]))).toMatchObject({ kind: 'held' })
})

test('spend of a window that is long over is not kept', () => {
  const { clock, ledger } = open()
  ledger.restore([{ key: 'old', settled: 5, windowEndMs: clock.now - 36 * 24 * HOUR }])
  for (let sweep = 0; sweep < 3; sweep += 1) void ledger.reserve(asks([]))
  expect(ledger.size()).toBeLessThanOrEqual(3)
})

test.each([
  ['a fraction', { key: 'k', settled: 0.5, windowEndMs: null }, 'entries[0].settled'],
  ['a negative amount', { key: 'k', settled: -1, windowEndMs: null }, 'entries[0].settled'],
  ['no key', { key: '', settled: 1, windowEndMs: null }, 'entries[0].key'],
  ['a broken end', { key: 'k', settled: 1, windowEndMs: Number.NaN }, 'entries[0].windowEndMs'],
])('restoring %s is a clear error that names the field', (_, entry, field) => {
  expect(() => open().ledger.restore([entry])).toThrow(field)
})

test('memory stays bounded while ever new keys and calls come and go', async () => {
  const { clock, ledger } = open()
  const sizes: number[] = []
  for (let call = 0; call < 3_000; call += 1) {
    clock.now += 20_000
    const details = { key: `caller-${call}` }
    const charges = [hourly(clock.now, 1_000), places(10, details), ring(10, details), bucket(10, details)]
    const held = await hold(
      ledger,
      charges.map((one) => take(one)),
    )
    if (call % 3 === 0) await ledger.settle(held, [1, 1, 1, 1])
    else if (call % 3 === 1) await ledger.void(held)
    await ledger.reap(10)
    sizes.push(ledger.size())
  }
  // Idle counters stay an hour (180 calls); expired holds stay a week, which is longer than this story: one in three.
  const expired = 1_000
  expect(Math.max(...sizes.slice(1_000))).toBeLessThan(expired + 600)
})

test('a clock that steps back neither empties a ring nor fills a bucket', async () => {
  const { clock, ledger } = open()
  const some = [accumulator({ kind: 'sliding', windowMs: 6_000, slots: 6 }, 10), bucket(10)]
  await hold(
    ledger,
    some.map((one) => take(one, 10)),
  )
  clock.now -= 60_000
  expect(await ledger.balances(some)).toMatchObject([{ settled: 10 }, { settled: 10 }])
  expect(await ledger.reserve(asks(some.map((one) => take(one))))).toMatchObject({
    kind: 'refused',
    shortfalls: [{ index: 0 }, { index: 1, retryAfterMs: 61_000 }],
  })
})

test('what leaves a ring stays out when more is charged later', async () => {
  const { clock, ledger } = open()
  const one = accumulator({ kind: 'sliding', windowMs: 6_000, slots: 6 }, 10)
  const settled: number[] = []
  for (let second = 0; second < 20; second += 1) {
    await hold(ledger, [take(one, 1)])
    settled.push((await ledger.balances([one]))[0]?.settled ?? 0)
    clock.now += 1_000
  }
  // Six sub-windows and the one that has begun.
  expect(settled).toEqual([1, 2, 3, 4, 5, 6, ...Array.from({ length: 14 }, () => 7)])
})

test('a refusal leaves a ring as it was, also for a clock that steps back after it', async () => {
  const { clock, ledger } = open()
  const one = accumulator({ kind: 'sliding', windowMs: 6_000, slots: 6 }, 10)
  await hold(ledger, [take(one, 5)])
  clock.now += 3_000
  await hold(ledger, [take(one, 5)])
  clock.now += 4_000
  expect(await ledger.reserve(asks([take(one, 6)]))).toMatchObject({ kind: 'refused', shortfalls: [{ index: 0 }] })
  clock.now -= 4_000
  expect(await ledger.balances([one])).toEqual([{ limit: 10, settled: 10, held: 0 }])
})

test('of two limits of one version the one that is asked with counts', async () => {
  const { ledger } = open()
  await hold(ledger, [take(lifetime(10, { limitVersion: 3 }), 5)])
  expect(await ledger.balances([lifetime(20, { limitVersion: 3 })])).toMatchObject([{ limit: 20 }])
  expect(await ledger.balances([lifetime(20, { limitVersion: 2 })])).toMatchObject([{ limit: 10 }])
})
