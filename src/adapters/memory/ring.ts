/**
 * A sliding window as a ring of N + 1 sub-windows: never above the limit in any true window.
 *
 * Why N + 1: an entry of the last `windowMs` can lie N sub-windows back, while the present one has only begun. A ring of
 * N slots forgets it too early. What leaves, leaves up to one sub-window late, never early.
 */
import type { AccumulatorShape, Charge } from '../../domain/ledger/accumulator.ts'
import { ringKeptUntilMs, ringSize, subWindowUs } from '../../domain/ledger/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import { REASSERTED_MARK } from '../../domain/ledger/reservation.ts'
import type { Shelf } from './shelf.ts'
import { limitInForce } from './verdict.ts'
import type { LimitInForce, Verdict } from './verdict.ts'

/** Owned by its shelf; changed only by a charge that is taken and by its correction. */
export interface Ring {
  /** Number of the newest sub-window since the epoch; slot `index % slots.length` is its own. */
  index: number
  total: number
  readonly slots: number[]
  inForce: LimitInForce | undefined
}

type RingShape = Extract<AccumulatorShape, { kind: 'sliding' }>

export type RingCharge = Charge & { readonly accumulator: { readonly shape: RingShape } }

export type Rings = Shelf<Ring>

function emptyRing(size: number, index: number): Ring {
  return { index, total: 0, slots: Array.from({ length: size }, () => 0), inForce: undefined }
}

/** What is in the ring once it is turned to `index`. A clock that steps back does not turn it back. */
function totalAt(ring: Ring | undefined, index: number): number {
  if (!ring || index - ring.index >= ring.slots.length) return 0
  let { total } = ring
  for (let left = ring.index + 1; left <= index; left += 1) total -= ring.slots[left % ring.slots.length] ?? 0
  return total
}

/** Turns the ring: sub-windows that leave it are empty. */
function turn(ring: Ring, index: number): void {
  const last = Math.min(index, ring.index + ring.slots.length)
  for (let left = ring.index + 1; left <= last; left += 1) {
    const slot = left % ring.slots.length
    ring.total -= ring.slots[slot] ?? 0
    ring.slots[slot] = 0
  }
  ring.index = Math.max(ring.index, index)
}

function add(ring: Ring, index: number, amount: number): void {
  const slot = index % ring.slots.length
  ring.slots[slot] = (ring.slots[slot] ?? 0) + amount
  ring.total += amount
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
  const { shape } = accumulator
  const name = accumulatorName(accumulator)
  const stored = rings.get(name, Math.floor(nowUs / 1_000))
  const index = Math.floor(nowUs / subWindowUs(shape))
  const total = totalAt(stored, index)
  const inForce = limitInForce(accumulator, stored?.inForce)
  const missing = total + amount - inForce.limit
  return {
    state: { limit: inForce.limit, settled: total, held: 0 },
    refusal: missing > 0 ? refusalOf(stored, charge, { limit: inForce.limit, index, missing, nowUs }) : undefined,
    take: (taken) => {
      const ring = stored ?? emptyRing(ringSize(shape), index)
      turn(ring, index)
      ring.inForce = inForce
      add(ring, ring.index, taken)
      rings.put(name, ring, ringKeptUntilMs(shape, ring.index))
      return 0
    },
  }
}

/** Looks at a copy: a refusal leaves no trace. */
function refusalOf(
  stored: Ring | undefined,
  { accumulator: { shape }, amount }: RingCharge,
  wanted: { readonly limit: number; readonly index: number; readonly missing: number; readonly nowUs: number },
): { readonly retryAfterMs: number | null } {
  if (amount > wanted.limit) return { retryAfterMs: null }
  const ring = stored ? { ...stored, slots: [...stored.slots] } : emptyRing(ringSize(shape), wanted.index)
  turn(ring, wanted.index)
  return { retryAfterMs: retryAfterMs(ring, shape, wanted) }
}

/**
 * Corrects the sub-window of the reservation, if the ring still has it: the true cost then stands at its true time. Nothing
 * is given back that the sub-window does not have: when the clock was set back, a ring may be younger than its charge.
 */
export function correctRing(
  rings: Rings,
  charge: RingCharge,
  change: { readonly actual: number; readonly atUs: number; readonly mark: number; readonly nowUs: number },
): void {
  if (change.mark === REASSERTED_MARK && change.actual < charge.amount) return
  const { shape } = charge.accumulator
  const name = accumulatorName(charge.accumulator)
  const nowMs = Math.floor(change.nowUs / 1_000)
  const ring = rings.get(name, nowMs)
  const index = Math.floor(change.atUs / subWindowUs(shape))
  if (!ring || ring.index < index || ring.index - index >= ring.slots.length) return
  const inSlot = ring.slots[index % ring.slots.length] ?? 0
  add(ring, index, Math.max(change.actual - charge.amount, -inSlot))
}
