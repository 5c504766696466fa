import { expect, it } from 'vitest'
import { createIds } from '../../../src/adapters/system/ids.ts'

/** RFC 9562, section 5.7: 48 bits of time, version 7, variant 10. */
const UUID_V7 = /^([0-9a-f]{8})-([0-9a-f]{4})-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/

it('ids are version 7, all different, and sort by the time of their making', () => {
  let nowMs = 1_800_000_000_000
  const ids = createIds({ nowMs: () => (nowMs += 1) })
  const made = Array.from({ length: 2_000 }, () => ids.next())
  expect(new Set(made).size).toBe(made.length)
  expect(made.toSorted()).toEqual(made)
  for (const [index, id] of made.entries()) {
    const [, high = '', low = ''] = UUID_V7.exec(id) ?? []
    expect(Number.parseInt(high + low, 16)).toBe(1_800_000_000_001 + index)
  }
})

it('ids of one millisecond share its digits and no others', () => {
  const ids = createIds({ nowMs: () => 5 })
  const made = Array.from({ length: 600 }, () => ids.next())
  expect(new Set(made.map((id) => id.slice(19))).size).toBe(600)
  expect(new Set(made.map((id) => id.charAt(19)))).toEqual(new Set(['8', '9', 'a', 'b']))
  expect(made.every((id) => id.startsWith('00000000-0005-7'))).toBe(true)
})
