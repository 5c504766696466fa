/**
 * A decision as the scripts can carry it out. One Redis does all of it in one script. On a Cluster the shards are in slots
 * of their own, so a decision has one part for each shard, each a reservation of the same id.
 */
import type { Charge } from '../../../domain/ledger/accumulator.ts'
import type { Hold } from '../../../domain/ledger/reservation.ts'
import { homeShard } from '../keys.ts'

export interface Part {
  /** The shard that keeps the record and the lease. */
  readonly home: number
  readonly charges: readonly Charge[]
  /** Where each charge stands in the whole decision; undefined when this is all of it. */
  readonly places?: readonly number[]
}

export function partsOf(charges: readonly Charge[], isSlotted: boolean): readonly Part[] {
  const home = homeShard(charges)
  if (!isSlotted || charges.every(({ accumulator }) => accumulator.shard === home)) return [{ home, charges }]
  const byShard = Map.groupBy(charges.keys(), (place) => charges[place]?.accumulator.shard ?? home)
  return [...byShard].map(([shard, places]) => ({ home: shard, charges: pick(charges, places), places }))
}

/** The values of one part out of one for each charge of the whole. */
export function ofPart<Value>(values: readonly Value[], { places }: Part): readonly Value[] {
  return places === undefined ? values : pick(values, places)
}

function pick<Value>(values: readonly Value[], places: readonly number[]): readonly Value[] {
  return places.flatMap((place) => (place < values.length ? values.slice(place, place + 1) : []))
}

/** One value for each charge of the whole, in its order, out of those of the parts. */
export function whole<Value>(
  parts: readonly { readonly part: Pick<Part, 'places'>; readonly values: readonly Value[] }[],
): readonly Value[] {
  const placed = parts.flatMap(({ part, values }) =>
    values.map((value, index) => ({ place: part.places?.[index] ?? index, value })),
  )
  return placed.toSorted((left, right) => left.place - right.place).map(({ value }) => value)
}

/** A part of a hold as its record has it. */
export interface HeldPart {
  readonly hold: Hold
  readonly part: Pick<Part, 'places'>
}

/** The hold of which these are parts, in the order of its charges. They have one id; there is at least one. */
export function joinParts(held: readonly HeldPart[]): Hold | undefined {
  const [first] = held
  if (first === undefined || held.length === 1) return first?.hold
  return {
    ...first.hold,
    charges: whole(held.map(({ hold, part }) => ({ part, values: hold.charges }))),
    marks: whole(held.map(({ hold, part }) => ({ part, values: hold.marks }))),
  }
}
