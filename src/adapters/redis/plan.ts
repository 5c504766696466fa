/**
 * The plan of a reservation as it lies in Redis: enough to charge a hold in full, and to settle it, when the process that
 * made it is gone. Scripts carry it as opaque text.
 *
 * Record: `R|<reserved at, us>|<marks>|<owner>|<plan>`; `X` instead of `R` once expired, `S` alone once settled. Behind the
 * marks of a reservation that could be made smaller stand `;<granted tokens>;<amounts>`, which are those that count.
 */
import { assertAccumulator } from '../../domain/ledger/accumulator-check.ts'
import type { AccumulatorShape, Charge } from '../../domain/ledger/accumulator.ts'
import { reassertedMarks } from '../../domain/ledger/reservation.ts'
import type { Hold, ReservationId } from '../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../domain/failures.ts'
import type { HeldPart, Part } from './parts/parts.ts'

/**
 * Key, shard, limit, policy version, amount, kind, and two numbers of the shape. Then, where the record is a part of a
 * decision over several shards, the charge's place in the whole.
 */
type PlanEntry = readonly [string, number, number, number, number, string, number, number, ...place: number[]]

const RECORD = /^[RX]\|(\d+)\|([^|]*)\|([^|]*)\|(.*)$/s

/** The end of a record, which does not change while it lives. */
export function writePlan(owner: string, { charges, places }: Part): string {
  return `${owner}|${JSON.stringify(charges.map((charge, index) => toEntry(charge, places?.[index])))}`
}

/** The whole record of a hold that the store had lost. */
export function writeReasserted(hold: Hold, part: Part): string {
  return `R|${hold.atUs}|${reassertedMarks(hold).join(',')}|${writePlan(hold.owner, part)}`
}

function toEntry({ accumulator, amount }: Charge, place: number | undefined): PlanEntry {
  const { key, shard, limit, limitVersion, shape } = accumulator
  const [a, b] = shapeNumbers(shape)
  const entry = [key, shard, limit, limitVersion, amount, shape.kind, a, b] as const
  return place === undefined ? entry : [...entry, place]
}

/** A budget without a window ends at 0, and begins at what it is kept for; at 0 when it is kept for ever. */
function shapeNumbers(shape: AccumulatorShape): readonly [number, number] {
  if (shape.kind === 'budget') return [shape.window?.startMs ?? shape.keptMs ?? 0, shape.window?.endMs ?? 0]
  if (shape.kind === 'span') return [shape.keptMs, 0]
  if (shape.kind === 'sliding') return [shape.windowMs, shape.slots]
  if (shape.kind === 'bucket') return [shape.amount, shape.periodMs]
  return [0, 0]
}

function toShape(kind: string, a: number, b: number): AccumulatorShape | undefined {
  if (kind === 'budget' && b === 0) return a === 0 ? { kind, window: null } : { kind, window: null, keptMs: a }
  if (kind === 'budget') return { kind, window: { startMs: a, endMs: b } }
  if (kind === 'span') return { kind, keptMs: a }
  if (kind === 'concurrency') return { kind }
  if (kind === 'sliding') return { kind, windowMs: a, slots: b }
  if (kind === 'bucket') return { kind, amount: a, periodMs: b }
  return undefined
}

/** The note of a settled record; undefined for any other, and for one that was settled without a note. */
export function readNote(record: string): string | undefined {
  return record.startsWith('S') && record.length > 1 ? record.slice(1) : undefined
}

/** Reads a record that is held or expired; undefined for a settled one. Throws when it is not one of ours. */
export function readRecord(id: ReservationId, record: string): HeldPart | undefined {
  if (record.startsWith('S')) return undefined
  try {
    return parseRecord(id, record)
  } catch (cause) {
    throw new LedgerUnavailable(`Redis: the record of reservation ${id} is unreadable`, { cause })
  }
}

function parseRecord(id: ReservationId, record: string): HeldPart {
  const match = RECORD.exec(record)
  if (!match) throw new Error('not a record')
  const [, at = '', taken = '', owner = '', plan = ''] = match
  const entries: unknown = JSON.parse(plan)
  if (!Array.isArray(entries)) throw new Error('the plan is not a list')
  const planned = entries.map((entry, index) => toCharge(`plan[${index}]`, entry))
  const { charges, marks } = readTaken(taken, planned)
  return { hold: { id, charges, atUs: Number(at), marks, owner }, part: readPlaces(entries) }
}

function readPlaces(entries: readonly unknown[]): HeldPart['part'] {
  const places = entries.map((entry): unknown => (Array.isArray(entry) ? entry[8] : undefined))
  return places.every((place) => typeof place === 'number') && places.length > 0 ? { places } : {}
}

/** What was taken of planned charges, as the scripts write it: numbers between commas, nothing for no charges. */
export function readTaken<Item extends Charge>(text: string, planned: readonly Item[]) {
  const [marks = '', granted, taken = ''] = text.split(';')
  if (granted === undefined) return { charges: planned, marks: readNumbers(marks) }
  const amounts = readNumbers(taken)
  const charges = planned.map((charge, index) => ({ ...charge, amount: amounts[index] ?? charge.amount }))
  return { charges, marks: readNumbers(marks), granted: Number(granted) }
}

function readNumbers(text: string): readonly number[] {
  return text === '' ? [] : text.split(',').map(Number)
}

function toCharge(field: string, entry: unknown): Charge {
  if (!Array.isArray(entry)) throw new Error(`${field} is not a list`)
  const [key, shard, limit, limitVersion, amount, kind, a, b]: readonly unknown[] = entry
  const shape = toShape(String(kind), Number(a), Number(b))
  if (!shape || typeof key !== 'string') throw new Error(`${field} names no known kind`)
  const accumulator = { key, shard: Number(shard), shape, limit: Number(limit), limitVersion: Number(limitVersion) }
  assertAccumulator(field, accumulator)
  return { accumulator, amount: Number(amount) }
}
