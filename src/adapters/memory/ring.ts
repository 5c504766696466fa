/**
 * A sliding window as a ring of N + 1 sub-windows: never above the limit in any true window.
 *
 * Why N + 1: an entry of the last `windowMs` can lie N sub-windows back, while the present one has only begun. A ring of
 * N slots forgets it too early. What leaves, leaves up to one sub-window late, never early.
 */
import type { AccumulatorShape, Charge } from '../../domain/accumulator.ts'
import { ringKeptUntilMs, ringSize, subWindowUs } from '../../domain/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/accumulator-name.ts'
import type { Shelf } from './shelf.ts'
import { limitInForce } from './verdict.ts'
import type { LimitInForce, Verdict } from './verdict.ts'

export interface Ring {
  /** Number of the newest sub-window since the epoch; slot `index % slots.length` is its own. */
  readonly index: number
  readonly total: number
  readonly slots: readonly number[]
  readonly inForce: LimitInForce | undefined
}

type RingShape = Extract<AccumulatorShape, { kind: 'sliding' }>

export type RingCharge = Charge & { readonly accumulator: { readonly shape: RingShape } }

export type Rings = Shelf<Ring>

/** The ring at `nowUs`: sub-windows that have left it are empty. A clock that steps back does not turn it back. */
function turned(ring: Ring | undefined, shape: RingShape, nowUs: number): Ring {
  const size = ringSize(shape)
  const index = Math.floor(nowUs / subWindowUs(shape))
  if (!ring || index - ring.index >= size) {
    return { index, total: 0, slots: Array.from({ length: size }, () => 0), inForce: ring?.inForce }
  }
  const slots = [...ring.slots]
  let total = ring.total
  for (let left = ring.index + 1; left <= index; left += 1) {
    total -= slots[left % size] ?? 0
    slots[left % size] = 0
  }
  return { index: Math.max(index, ring.index), total, slots, inForce: ring.inForce }
}

/** Walks the slots from the oldest until enough of them have left. */
function retryAfterMs(
  ring: Ring,
  shape: RingShape,
  wanted: { readonly missing: number; readonly nowUs: number },
): number | null {
  const size = ring.slots.length
  let missing = wanted.missing
  for (let index = ring.index - size + 1; index <= ring.index; index += 1) {
    missing -= ring.slots[((index % size) + size) % size] ?? 0
    if (missing <= 0) return Math.ceil(((index + size) * subWindowUs(shape) - wanted.nowUs) / 1_000)
  }
  return null
}

export function judgeRing(rings: Rings, charge: RingCharge, nowUs: number): Verdict {
  const { accumulator, amount } = charge
  const name = accumulatorName(accumulator)
  const nowMs = Math.floor(nowUs / 1_000)
  const ring = turned(rings.get(name, nowMs), accumulator.shape, nowUs)
  const inForce = limitInForce(accumulator, ring.inForce)
  const missing = ring.total + amount - inForce.limit
  const canEverFit = amount <= inForce.limit
  return {
    state: { limit: inForce.limit, settled: ring.total, held: 0 },
    refusal:
      missing > 0
        ? { retryAfterMs: canEverFit ? retryAfterMs(ring, accumulator.shape, { missing, nowUs }) : null }
        : undefined,
    take: () => {
      const slot = ring.index % ring.slots.length
      const slots = ring.slots.with(slot, (ring.slots[slot] ?? 0) + amount)
      rings.put(
        name,
        { ...ring, slots, total: ring.total + amount, inForce },
        ringKeptUntilMs(accumulator.shape, ring.index),
      )
      return 0
    },
  }
}

/** Corrects the sub-window of the reservation, if the ring still has it: the true cost then stands at its true time. */
export function correctRing(
  rings: Rings,
  charge: RingCharge,
  change: { readonly actual: number; readonly atUs: number; readonly nowUs: number },
): void {
  const { shape } = charge.accumulator
  const name = accumulatorName(charge.accumulator)
  const nowMs = Math.floor(change.nowUs / 1_000)
  const ring = rings.get(name, nowMs)
  const index = Math.floor(change.atUs / subWindowUs(shape))
  if (!ring || ring.index < index || ring.index - index >= ring.slots.length) return
  const difference = change.actual - charge.amount
  const slot = index % ring.slots.length
  const slots = ring.slots.with(slot, (ring.slots[slot] ?? 0) + difference)
  rings.put(name, { ...ring, slots, total: ring.total + difference }, ringKeptUntilMs(shape, ring.index))
}
