/**
 * Spans: time that begins with the first admitted charge. Nothing is held and a settlement changes nothing; the clock
 * alone uses a span up.
 */
import type { AccumulatorShape, Charge } from '../../domain/ledger/accumulator.ts'
import { spanKeptUntilMs } from '../../domain/ledger/accumulator-geometry.ts'
import { accumulatorName } from '../../domain/ledger/accumulator-name.ts'
import type { SpanBeginning } from '../../domain/ledger/run-beginnings.ts'
import type { Shelf } from './shelf.ts'
import { limitInForce } from './verdict.ts'
import type { LimitInForce, Verdict } from './verdict.ts'

export interface Span {
  readonly beganMs: number
  readonly inForce: LimitInForce | undefined
}

type SpanShape = Extract<AccumulatorShape, { kind: 'span' }>

/** A charge whose accumulator is a span. */
export type SpanCharge = Charge & { readonly accumulator: { readonly shape: SpanShape } }

export type Spans = Shelf<Span>

export function judgeSpan(spans: Spans, { accumulator, amount }: SpanCharge, nowMs: number): Verdict {
  const name = accumulatorName(accumulator)
  const stored = spans.get(name, nowMs)
  const inForce = limitInForce(accumulator, stored?.inForce)
  const beganMs = stored?.beganMs ?? nowMs
  // A clock that steps back gives no time back.
  const elapsedMs = Math.max(0, nowMs - beganMs)
  return {
    state: { limit: inForce.limit, settled: elapsedMs, held: 0 },
    refusal: inForce.limit - elapsedMs - amount < 0 ? { retryAfterMs: null } : undefined,
    take: () => {
      spans.put(name, { beganMs, inForce }, spanKeptUntilMs(accumulator.shape, beganMs, inForce.limit))
      return beganMs
    },
  }
}

/** A span that began before the ledger forgot it. The earlier beginning counts; one that is no longer kept stays away. */
export function beginSpan(spans: Spans, { accumulator }: SpanCharge, beganMs: number, nowMs: number): void {
  const name = accumulatorName(accumulator)
  const stored = spans.get(name, nowMs)
  const inForce = limitInForce(accumulator, stored?.inForce)
  const earlierMs = Math.min(beganMs, stored?.beganMs ?? nowMs)
  const keptUntilMs = spanKeptUntilMs(accumulator.shape, earlierMs, inForce.limit)
  if (keptUntilMs > nowMs) spans.put(name, { beganMs: earlierMs, inForce }, keptUntilMs)
}

/** A span that began before this process did. */
export function restoreSpan(spans: Spans, { key, beganMs, keptUntilMs }: SpanBeginning): void {
  const shape = { kind: 'span', keptMs: 1 } as const
  const name = accumulatorName({ key, shard: 0, shape, limit: 0, limitVersion: 0 })
  spans.put(name, { beganMs, inForce: undefined }, keptUntilMs)
}
