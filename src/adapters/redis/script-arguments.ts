/**
 * How charges are passed to the scripts: see the head of each script for the order.
 */
import type { Accumulator, Charge } from '../../domain/ledger/accumulator.ts'
import { drainPeriodUs, ringSize, subWindowUs, windowKeptUntilMs } from '../../domain/ledger/accumulator-geometry.ts'
import type { Fit } from '../../domain/ledger/fit.ts'
import { beganMs } from '../../domain/ledger/reservation.ts'
import type { Hold, ReservationRequest } from '../../domain/ledger/reservation.ts'
import type { Argument } from './connection/client.ts'

interface ShapeArguments {
  readonly kind: 'b' | 'c' | 's' | 't' | 'd'
  readonly a: number
  readonly b: number
  readonly keptUntilMs: number
}

function shapeArguments({ shape }: Accumulator): ShapeArguments {
  if (shape.kind === 'concurrency') return { kind: 'c', a: 0, b: 0, keptUntilMs: 0 }
  if (shape.kind === 'sliding') return { kind: 's', a: subWindowUs(shape), b: ringSize(shape), keptUntilMs: 0 }
  if (shape.kind === 'bucket') return { kind: 't', a: shape.amount, b: drainPeriodUs(shape), keptUntilMs: 0 }
  if (shape.kind === 'span') return { kind: 'd', a: shape.keptMs, b: 0, keptUntilMs: 0 }
  const { window, keptMs = 0 } = shape
  if (window === null) return { kind: 'b', a: keptMs, b: 0, keptUntilMs: 0 }
  return { kind: 'b', a: window.startMs, b: window.endMs, keptUntilMs: windowKeptUntilMs(window) }
}

export function reserveArguments({ charges, fit }: Pick<ReservationRequest, 'charges' | 'fit'>): readonly Argument[] {
  const args: readonly Argument[] = charges.flatMap(({ accumulator, amount }) => {
    const { kind, a, b, keptUntilMs } = shapeArguments(accumulator)
    return [kind, amount, accumulator.limit, accumulator.limitVersion, a, b, keptUntilMs]
  })
  return fit === undefined ? args : [...args, ...fitArguments(fit)]
}

function fitArguments({ asked, least, terms }: Fit): readonly Argument[] {
  return [asked, least, ...terms.flatMap(({ base, perToken, mayShorten }) => [base, perToken, mayShorten ? 1 : 0])]
}

export function settleArguments(charges: readonly Charge[], actual: readonly number[]): readonly Argument[] {
  return charges.flatMap(({ accumulator, amount }, index) => {
    const { kind, a, b } = shapeArguments(accumulator)
    return [kind, amount, kind === 'c' ? 0 : (actual[index] ?? 0), a, b]
  })
}

export function balancesArguments(accumulators: readonly Accumulator[]): readonly Argument[] {
  return accumulators.flatMap((accumulator) => {
    const { kind, a, b } = shapeArguments(accumulator)
    return [kind, accumulator.limit, accumulator.limitVersion, a, b]
  })
}

export interface Reasserted {
  readonly charge: Charge
  /** What is held again of a counter; when a span began. */
  readonly value: number
}

/** What of a hold comes back to a store that lost it: rings and buckets only protect, and start anew. */
export function reassertedParts(hold: Hold): readonly Reasserted[] {
  return hold.charges.flatMap((charge, index) => {
    if (isCounter(charge)) return [{ charge, value: charge.amount }]
    return charge.accumulator.shape.kind === 'span' ? [{ charge, value: beganMs(hold, index) }] : []
  })
}

export function reassertArguments(parts: readonly Reasserted[]): readonly Argument[] {
  return parts.flatMap(({ charge: { accumulator }, value }) => {
    const { kind, a, keptUntilMs } = shapeArguments(accumulator)
    return [kind, value, accumulator.limit, accumulator.limitVersion, keptUntilMs, a]
  })
}

/** Only counters change when a hold expires. */
export function isCounter({ accumulator }: Charge): boolean {
  return accumulator.shape.kind === 'budget' || accumulator.shape.kind === 'concurrency'
}

export function expireArguments(counters: readonly Charge[]): readonly Argument[] {
  return counters.flatMap(({ accumulator, amount }) => {
    const { kind, a, b } = shapeArguments(accumulator)
    return [kind, amount, a, b]
  })
}
