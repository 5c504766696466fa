/**
 * Random stories of calls over a few accumulators: what callers, reapers, clocks and policies may do, in any order.
 */
import * as fc from 'fast-check'

import type { Accumulator } from '../../../src/domain/ledger/accumulator.ts'
import { HOUR, accumulator, bucket, hourly, lifetime, places, ring } from '../ledger-fixtures.ts'

const MINUTE = 60_000

function minutely(nowMs: number, limit: number): Accumulator {
  const startMs = Math.floor(nowMs / MINUTE) * MINUTE
  return accumulator({ kind: 'budget', window: { startMs, endMs: startMs + MINUTE } }, limit, {
    key: `minute|${startMs}`,
  })
}

/** Every kind, several shapes of most, on several shards and two of them on one; windows are those of the asker's clock. */
const POOL: readonly ((clockMs: number, limit: number) => Accumulator)[] = [
  (clockMs, limit) => hourly(clockMs, limit, { shard: 1 }),
  minutely,
  (_, limit) => lifetime(limit, { shard: 2 }),
  (_, limit) => lifetime(limit, { shard: 700, key: 'global' }),
  // Few places, and never as many for two versions of a policy.
  (_, limit) => places(1 + (limit % 13), { shard: 1_023 }),
  (_, limit) => ring(limit, { shard: 0 }),
  (_, limit) => accumulator({ kind: 'sliding', windowMs: 7_001, slots: 3 }, limit, { key: 'odd' }),
  (_, limit) => accumulator({ kind: 'sliding', windowMs: 5_000, slots: 1 }, limit, { key: 'one slot', shard: 400 }),
  (_, limit) => bucket(limit, { shard: 9 }),
  (_, limit) => accumulator({ kind: 'bucket', amount: 7, periodMs: 2_999 }, limit, { key: 'odd' }),
]

/** One limit for each edit of the policy, all different: what a ledger judges by tells whose limit it was. */
const LIMITS = [20, 8, 41, 27, 14, 32, 6, 46, 22, 10, 36, 17]

const INDEXES = POOL.map((_, index) => index)

/** A node that has this many edits of the policy and whose clock is off by `skewMs`. */
interface View {
  readonly nowMs: number
  readonly edits: number
  readonly skewMs: number
  /** All accumulators in this shard; otherwise each in its own. */
  readonly shard: number | undefined
}

/** The accumulators of a request, as a node sees them. */
export function accumulatorsFor(
  indexes: readonly number[],
  { nowMs, edits, skewMs, shard }: View,
): readonly Accumulator[] {
  const version = Math.max(0, Math.min(edits, LIMITS.length - 1))
  const limit = LIMITS[version] ?? 0
  return indexes.flatMap((index) => {
    const made = POOL[index]?.(nowMs + skewMs, limit)
    return made ? [{ ...made, shard: shard ?? made.shard, limitVersion: version }] : []
  })
}

export const EVERYTHING = INDEXES

const which = fc.nat(1_000)
const who = { which, lately: fc.boolean() }
const actual = fc.array(fc.oneof(fc.nat(3), fc.nat(12), fc.nat(60)), { minLength: POOL.length, maxLength: POOL.length })

const reserve = fc.record({
  do: fc.constant('reserve' as const),
  /** Few kinds at a time fill them up; many at a time refuse each other. */
  of: fc.constantFrom('all' as const, 'all' as const, 'one' as const, 'whole pool' as const),
  which,
  amount: fc.oneof(fc.nat(6), fc.nat(20), fc.nat(45)),
  /** Nodes take up a new policy one after the other. */
  behind: fc.constantFrom(0, 0, 0, 1, 2),
  skewMs: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, HOUR, -HOUR),
  leaseMs: fc.constantFrom(1_000, 20_000, 90_000, 7_000_000),
  /** How a node keeps its answer: one that crashed at once has none. */
  crashes: fc.constantFrom(false, false, false, true),
})

const settle = fc.record({
  do: fc.constant('settle' as const),
  ...who,
  /** As held, or any part of it, or whatever it is. */
  cost: fc.constantFrom('held' as const, 'part' as const, 'part' as const, 'part' as const, 'any' as const),
  part: fc.constantFrom(0, 0.1, 0.5, 1),
  actual,
  force: fc.boolean(),
  note: fc.constantFrom('', '', '["n"]'),
})

const step = fc.oneof(
  { weight: 14, arbitrary: reserve },
  { weight: 9, arbitrary: settle },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), ...who }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('void' as const), ...who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('void early' as const) }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('extend' as const), ...who }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant('reap' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('crash' as const) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reassert' as const), ...who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), ...who }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('edit policy' as const) }) },
  {
    weight: 9,
    arbitrary: fc.record({
      do: fc.constant('advance' as const),
      ms: fc.oneof(
        { weight: 6, arbitrary: fc.nat(1_500) },
        { weight: 6, arbitrary: fc.nat(12_000) },
        { weight: 3, arbitrary: fc.nat(120_000) },
        { weight: 1, arbitrary: fc.nat(9_000_000) },
        { weight: 1, arbitrary: fc.integer({ min: -2_000, max: -1 }) },
      ),
    }),
  },
)

export type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never

/** Rare enough not to take all else with it. */
const lose = fc.record({ do: fc.constant('lose' as const), after: fc.nat(1_000) })

export type Loss = typeof lose extends fc.Arbitrary<infer Value> ? Value : never

export interface Story {
  /** Indexes of the accumulators that most calls of this story draw from. */
  readonly pool: readonly number[]
  readonly steps: readonly Step[]
  /** After which step the store forgets everything, if it does. */
  readonly loss: Loss | null
}

export const stories: fc.Arbitrary<Story> = fc.record({
  pool: fc.oneof(
    fc.subarray(INDEXES, { minLength: 1, maxLength: 1 }),
    fc.subarray(INDEXES, { minLength: 2, maxLength: 3 }),
    fc.subarray(INDEXES, { minLength: 4, maxLength: INDEXES.length }),
  ),
  steps: fc.array(step, { minLength: 25, maxLength: 60, size: 'max' }),
  loss: fc.option(lose, { freq: 4 }),
})
