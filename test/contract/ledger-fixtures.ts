/**
 * Accumulators, requests and holds that the ledger's suites are written with.
 */
import type { Accumulator, AccumulatorShape, Charge } from '../../src/domain/ledger/accumulator.ts'
import type { Hold, ReservationRequest } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'

export interface LedgerUnderTest extends AsyncDisposable {
  readonly ledger: Ledger
  nowMs(): number
  advance(ms: number): Promise<void>
  /** Forgets everything that is stored. */
  clear(): Promise<void>
}

export const LEASE = 90_000
export const HOUR = 3_600_000

let serial = 0

/** An id that no other test uses. */
export function freshId(): string {
  serial += 1
  return `call-${serial}.1`
}

export function accumulator(shape: AccumulatorShape, limit: number, details: Partial<Accumulator> = {}): Accumulator {
  return { key: details.key ?? `rule|${shape.kind}`, shard: 7, shape, limit, limitVersion: 1, ...details }
}

export const lifetime = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'budget', window: null }, limit, details)
export const places = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'concurrency' }, limit, details)
export const ring = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'sliding', windowMs: 60_000, slots: 6 }, limit, details)
export const bucket = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'bucket', amount: 1, periodMs: 1_000 }, limit, details)

/** `limit` is the length in milliseconds. */
export const span = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'span', keptMs: 24 * HOUR }, limit, details)
/** A budget of a run: without a window, and forgotten a day after its last use. */
export const run = (limit: number, details?: Partial<Accumulator>) =>
  accumulator({ kind: 'budget', window: null, keptMs: 24 * HOUR }, limit, { key: 'rule|run', ...details })

export function take(accumulator: Accumulator, amount = 1): Charge {
  return { accumulator, amount }
}

export function asks(charges: readonly Charge[], details: Partial<ReservationRequest> = {}): ReservationRequest {
  return { id: freshId(), charges, leaseMs: LEASE, owner: 'test/audit/log', ...details }
}

export async function hold(
  ledger: Ledger,
  charges: readonly Charge[],
  details?: Partial<ReservationRequest>,
): Promise<Hold> {
  const outcome = await ledger.reserve(asks(charges, details))
  if (outcome.kind !== 'held') throw new Error(`expected a hold, not ${JSON.stringify(outcome)}`)
  return outcome.hold
}

/** A budget of the clock hour that contains `nowMs`. */
export function hourly(nowMs: number, limit: number, details: Partial<Accumulator> = {}): Accumulator {
  const startMs = Math.floor(nowMs / HOUR) * HOUR
  const shape: AccumulatorShape = { kind: 'budget', window: { startMs, endMs: startMs + HOUR } }
  return accumulator(shape, limit, { key: `hour|${startMs}`, ...details })
}
