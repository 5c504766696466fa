/**
 * A token bucket in debt form (GCRA): the debt drains at a steady rate, and a charge is admitted while it fits under the
 * burst.
 *
 * The safe refund. Giving back `amount - actual` at settlement would return tokens that the bucket has drained by itself
 * since, and many calls in flight could then spend the burst many times over. So a reservation remembers its mark, the
 * debt after its charge plus all refunds so far, and a settlement gives back at most what of that is provably still
 * owed: mark - refunds so far - what drained since. Then the actual costs conform to (burst, rate) in every interval.
 */
import type { AccumulatorShape, Charge } from '../../domain/ledger/accumulator.ts'
import { BUCKET_MARGIN_MS, HORIZON_MS, drainPerUs } from '../../domain/ledger/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { Shelf } from './shelf.ts'
import { limitInForce } from './verdict.ts'
import type { LimitInForce, Verdict } from './verdict.ts'

export interface Bucket {
  /** Debt at `atUs`. A double: drained by a rate that is no whole number. */
  readonly debt: number
  readonly atUs: number
  /** All refunds ever given. */
  readonly refunded: number
  /** When this bucket came to be: a reservation older than it must not refund to it. */
  readonly createdUs: number
  readonly inForce: LimitInForce | undefined
}

type BucketShape = Extract<AccumulatorShape, { kind: 'bucket' }>

export type BucketCharge = Charge & { readonly accumulator: { readonly shape: BucketShape } }

export type Buckets = Shelf<Bucket>

/** The bucket at `nowUs`. A clock that steps back neither drains nor fills it. */
function drained(bucket: Bucket | undefined, rate: number, nowUs: number): Bucket {
  if (!bucket) return { debt: 0, atUs: nowUs, refunded: 0, createdUs: nowUs, inForce: undefined }
  const atUs = Math.max(nowUs, bucket.atUs)
  return { ...bucket, debt: Math.max(0, bucket.debt - (atUs - bucket.atUs) * rate), atUs }
}

/** Counted from the instant of the debt: a clock that was set back must not make it forgotten before it has drained. */
function keptUntilMs({ debt, atUs }: Bucket, rate: number): number {
  return Math.ceil(atUs / 1_000) + Math.min(Math.ceil(debt / rate / 1_000), HORIZON_MS) + BUCKET_MARGIN_MS
}

/**
 * Microseconds until the charge fits. Tried by the very expression with which the later decision will judge: the division
 * is off by a rounding, and one microsecond drains more than that.
 */
function waitUs(
  stored: Bucket,
  now: Bucket,
  wanted: { readonly limit: number; readonly amount: number; readonly rate: number; readonly nowUs: number },
): number {
  const { limit, amount, rate } = wanted
  const wait = Math.floor((now.debt + amount - limit) / rate + 0.5)
  const debtThen = Math.max(0, stored.debt - (now.atUs + wait - stored.atUs) * rate)
  const exact = limit - debtThen - amount < 0 ? wait + 1 : wait
  return Math.min(exact + now.atUs - wanted.nowUs, HORIZON_MS * 1_000)
}

export function judgeBucket(buckets: Buckets, charge: BucketCharge, nowUs: number): Verdict {
  const { accumulator, amount } = charge
  const name = accumulatorName(accumulator)
  const nowMs = Math.floor(nowUs / 1_000)
  const rate = drainPerUs(accumulator.shape)
  const stored = buckets.get(name, nowMs)
  const now = drained(stored, rate, nowUs)
  const inForce = limitInForce(accumulator, now.inForce)
  const { limit } = inForce
  const isShort = limit - now.debt - amount < 0
  const retryMs = () =>
    amount > limit ? null : Math.ceil(waitUs(stored ?? now, now, { limit, amount, rate, nowUs }) / 1_000)
  return {
    state: { limit, settled: Math.ceil(now.debt), held: 0 },
    refusal: isShort ? { retryAfterMs: retryMs() } : undefined,
    take: (taken) => {
      const after = { ...now, debt: now.debt + taken, inForce }
      buckets.put(name, after, keptUntilMs(after, rate))
      return after.debt + after.refunded
    },
  }
}

/** Adds what the call cost beyond its charge as debt, or gives back what is safe to give back. */
export function correctBucket(
  buckets: Buckets,
  charge: BucketCharge,
  change: { readonly actual: number; readonly atUs: number; readonly mark: number; readonly nowUs: number },
): void {
  const name = accumulatorName(charge.accumulator)
  const nowMs = Math.floor(change.nowUs / 1_000)
  const rate = drainPerUs(charge.accumulator.shape)
  const stored = buckets.get(name, nowMs)
  const now = drained(stored, rate, change.nowUs)
  const put = (after: Bucket) => buckets.put(name, after, keptUntilMs(after, rate))
  const excess = change.actual - charge.amount
  // Also into a bucket that has drained and is forgotten: a long call must not cost more than its charge for nothing.
  if (excess > 0) return put({ ...now, debt: now.debt + excess })
  if (!stored || excess === 0 || now.createdUs > change.atUs) return
  const stillOwed = change.mark - now.refunded - (now.atUs - change.atUs) * rate
  const refund = Math.min(-excess, stillOwed, now.debt)
  if (refund > 0) put({ ...now, debt: now.debt - refund, refunded: now.refunded + refund })
}
