/**
 * What a ledger refuses to be asked: a malformed plan is a fault of the caller's code or of a policy that was not
 * checked, and must never reach a counter.
 */
import { ACCUMULATORS_MAX } from './accumulator.ts'
import type { Accumulator, AccumulatorShape, Charge } from './accumulator.ts'
import { HORIZON_MS } from './accumulator-geometry.ts'
import { accumulatorName } from './accumulator-name.ts'
import type { Fit } from './fit.ts'
import type { Hold, ReservationId, ReservationRequest } from './reservation.ts'

/** Number of virtual shards; part of every key, so it never changes. */
export const SHARDS = 1_024

/** Longest reservation id and accumulator key: they are stored with every hold. */
const ID_LENGTH_MAX = 128
const KEY_LENGTH_MAX = 512

/** Most sub-windows of one ring: bounds the fields that one decision reads. */
const SLOTS_MAX = 120

/** A lease above this would hide a crash for longer than any call may last. */
const LEASE_MS_MAX = 2 * 3_600_000

const ID = /^[\x21-\x7e]+$/

/** Longest note of a settlement: room for the amounts of a call that draws from as many accumulators as one may. */
export const LEDGER_NOTE_MAX = 2_048

/** Longest name of a hold's owner. */
const OWNER_LENGTH_MAX = 128

/** Printable ASCII but the bar, which stands between the parts of a stored hold. */
const OWNER = /^[\x21-\x7b\x7d\x7e]+$/

function fail(field: string, problem: string): never {
  throw new RangeError(`${field}: ${problem}`)
}

function assertWhole(field: string, value: number, bounds: { readonly min: number; readonly max?: number }): void {
  const max = bounds.max ?? Number.MAX_SAFE_INTEGER
  if (Number.isSafeInteger(value) && value >= bounds.min && value <= max) return
  fail(field, `must be a whole number from ${bounds.min} to ${max}, not ${value}`)
}

export function assertReservationId(id: ReservationId): void {
  if (id.length <= ID_LENGTH_MAX && ID.test(id)) return
  fail('id', `must be 1 to ${ID_LENGTH_MAX} printable ASCII characters without spaces`)
}

export function assertOwner(owner: string): void {
  if (owner.length <= OWNER_LENGTH_MAX && OWNER.test(owner)) return
  fail('owner', `must be 1 to ${OWNER_LENGTH_MAX} printable ASCII characters without spaces and bars`)
}

function assertShape(field: string, shape: AccumulatorShape): void {
  switch (shape.kind) {
    case 'budget':
      if (shape.keptMs !== undefined) assertKeptMs(field, shape.keptMs)
      if (shape.window === null) return
      if (shape.keptMs !== undefined)
        fail(`${field}.keptMs`, 'only a budget without a window is kept after its last use')
      assertWhole(`${field}.window.startMs`, shape.window.startMs, { min: 0 })
      return assertWhole(`${field}.window.endMs`, shape.window.endMs, { min: shape.window.startMs + 1 })
    case 'concurrency':
      return
    case 'sliding':
      assertWhole(`${field}.slots`, shape.slots, { min: 1, max: SLOTS_MAX })
      return assertWhole(`${field}.windowMs`, shape.windowMs, { min: 1, max: HORIZON_MS })
    case 'bucket':
      assertWhole(`${field}.amount`, shape.amount, { min: 1 })
      return assertWhole(`${field}.periodMs`, shape.periodMs, { min: 1, max: HORIZON_MS })
    case 'span':
      return assertKeptMs(field, shape.keptMs)
  }
}

function assertKeptMs(field: string, keptMs: number): void {
  assertWhole(`${field}.keptMs`, keptMs, { min: 1, max: HORIZON_MS })
}

function assertKey(field: string, key: string): void {
  if (key.length > 0 && key.length <= KEY_LENGTH_MAX) return
  fail(field, `must have 1 to ${KEY_LENGTH_MAX} characters, not ${key.length}`)
}

/** Owned by this file: accumulators that passed. They never change, so one look is enough for all calls over them. */
const sound = new WeakSet<Accumulator>()

export function assertAccumulator(field: string, accumulator: Accumulator): void {
  if (sound.has(accumulator)) return
  const { key, shard, shape, limit, limitVersion } = accumulator
  assertKey(`${field}.key`, key)
  assertWhole(`${field}.shard`, shard, { min: 0, max: SHARDS - 1 })
  // What begins now must end at an instant that is an exact integer.
  assertWhole(`${field}.limit`, limit, { min: 0, ...(shape.kind === 'span' && { max: HORIZON_MS }) })
  assertWhole(`${field}.limitVersion`, limitVersion, { min: 0 })
  assertShape(`${field}.shape`, shape)
  sound.add(accumulator)
}

/** Texts for errors are made only for a charge that is at fault: every call passes through here. */
function assertCharge(index: number, charge: Charge): void {
  const { accumulator, amount } = charge
  if (!sound.has(accumulator)) assertAccumulator(`charges[${index}].accumulator`, accumulator)
  const isOne = takesOne(charge)
  if (isOne ? amount === 1 : Number.isSafeInteger(amount) && amount >= 0) return
  assertWhole(`charges[${index}].amount`, amount, isOne ? { min: 1, max: 1 } : { min: 0 })
}

/**
 * Rejects a plan that no ledger can judge. Two charges on one accumulator are among them: each would be checked as if
 * the other did not exist, so both could pass where their sum does not.
 */
export function assertReservation(request: ReservationRequest): void {
  assertReservationId(request.id)
  assertOwner(request.owner)
  assertWhole('leaseMs', request.leaseMs, { min: 1, max: LEASE_MS_MAX })
  if (request.charges.length > ACCUMULATORS_MAX) {
    fail('charges', `at most ${ACCUMULATORS_MAX} accumulators in one decision, not ${request.charges.length}`)
  }
  const seen = new Set<string>()
  for (let index = 0; index < request.charges.length; index += 1) {
    const charge = request.charges[index]
    if (charge === undefined) return fail(`charges[${index}]`, 'must be a charge')
    assertCharge(index, charge)
    const name = accumulatorName(charge.accumulator)
    if (seen.has(name)) fail(`charges[${index}].accumulator.key`, `${name} is charged twice: add the amounts up`)
    seen.add(name)
  }
  if (request.fit !== undefined) assertFit(request.fit, request.charges)
}

/** A place, or the time of a span, is taken whole or not at all. */
function takesOne({ accumulator: { shape } }: Charge): boolean {
  return shape.kind === 'concurrency' || shape.kind === 'span'
}

function assertFit({ asked, least, terms }: Fit, charges: readonly Charge[]): void {
  assertWhole('fit.least', least, { min: 1 })
  assertWhole('fit.asked', asked, { min: least })
  assertWhole('fit.terms.length', terms.length, { min: charges.length, max: charges.length })
  for (const [index, { base, perToken }] of terms.entries()) {
    const charge = charges[index]
    assertWhole(`fit.terms[${index}].base`, base, { min: charge !== undefined && takesOne(charge) ? 1 : 0 })
    assertWhole(`fit.terms[${index}].perToken`, perToken, { min: 0 })
  }
}

/** Rejects a hold that cannot be brought back. */
export function assertHold(hold: Hold, leaseMs: number): void {
  assertReservation({ ...hold, leaseMs })
  assertWhole('atUs', hold.atUs, { min: 0 })
}

export function assertNote(note: string): void {
  if (note.length > LEDGER_NOTE_MAX) fail('note', `at most ${LEDGER_NOTE_MAX} characters, not ${note.length}`)
}

/** Rejects a settlement that does not match its hold. What is given for a place is not looked at. */
export function assertSettlement(charges: readonly Charge[], actual: readonly number[]): void {
  if (actual.length !== charges.length) {
    fail('actual', `must have one amount per charge: ${charges.length}, not ${actual.length}`)
  }
  for (let index = 0; index < charges.length; index += 1) {
    if (charges[index]?.accumulator.shape.kind === 'concurrency') continue
    const amount = actual[index] ?? Number.NaN
    if (!Number.isSafeInteger(amount) || amount < 0) assertWhole(`actual[${index}]`, amount, { min: 0 })
  }
}

/** Rejects spend that cannot be brought back: a wrong figure here would stay wrong until its window ends. */
export function assertRestoredSpend(
  field: string,
  entry: { readonly key: string; readonly settled: number; readonly windowEndMs: number | null },
): void {
  assertKey(`${field}.key`, entry.key)
  assertWhole(`${field}.settled`, entry.settled, { min: 0 })
  if (entry.windowEndMs !== null) assertWhole(`${field}.windowEndMs`, entry.windowEndMs, { min: 1 })
}
