/**
 * What one decision touches: the kinds that real policies put together, over accumulators of one identity.
 */
import type { Accumulator, AccumulatorShape, Charge } from '../../../src/domain/ledger/accumulator.ts'
import { SHARDS } from '../../../src/domain/ledger/accumulator-check.ts'

/** Accumulators of one decision. */
export const SIZES = [1, 4, 8, 12] as const
export type Size = (typeof SIZES)[number]

/** Held for one call, and what the call then really took: an estimate is about twice the cost. */
const HELD = 2_000
const SPENT = 900

const DAY_MS = 86_400_000
const MINUTE_MS = 60_000

/** Never reached, and whole sums of it stay far inside exact integers. */
const PLENTY = 1e14

const KINDS: Readonly<Record<Size, string>> = { 1: 'b', 4: 'ctsb', 8: 'cttssbbb', 12: 'ctttsssbbbbl' }

/**
 * The charges of one identity; `room: false` leaves no room in the last one, `apart` puts that one on another server, as a
 * budget that all tenants share. The tenant, not the user, decides the shard.
 */
export function chargesOf(
  size: Size,
  identity: number,
  { nowMs, room = true, apart = false }: Situation,
): readonly Charge[] {
  const shard = (identity * 7) % Math.min(SHARDS, 200)
  return Array.from(KINDS[size]).map((kind, at) => {
    const accumulator: Accumulator = {
      key: `bench${at}:tenant${shard}|user${identity}`,
      shard: apart && at === size - 1 ? (shard + SHARDS / 2) % SHARDS : shard,
      shape: shapeOf(kind, nowMs),
      limit: !room && at === size - 1 ? HELD - 1 : PLENTY,
      limitVersion: room ? 1 : 2,
    }
    return { accumulator, amount: kind === 'c' || kind === 't' ? 1 : HELD }
  })
}

export interface Situation {
  readonly nowMs: number
  readonly room?: boolean
  readonly apart?: boolean
}

export function actualsOf(charges: readonly Charge[]): readonly number[] {
  return charges.map(({ amount }) => (amount === HELD ? SPENT : amount))
}

function shapeOf(kind: string, nowMs: number): AccumulatorShape {
  const startMs = Math.floor(nowMs / DAY_MS) * DAY_MS
  if (kind === 'b') return { kind: 'budget', window: { startMs, endMs: startMs + DAY_MS } }
  if (kind === 'l') return { kind: 'budget', window: null }
  if (kind === 's') return { kind: 'sliding', windowMs: MINUTE_MS, slots: 12 }
  // Drains faster than any bench asks, as a rate that admits does.
  return kind === 't' ? { kind: 'bucket', amount: 1_000_000, periodMs: 1_000 } : { kind: 'concurrency' }
}
