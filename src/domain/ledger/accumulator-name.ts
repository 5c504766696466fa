import type { Accumulator } from './accumulator.ts'

/**
 * Owned by this file; an entry goes with its accumulator. A pure function of an object that never changes: callers send
 * thousands of calls over the same few accumulators, and every step of a call asks for the name.
 */
const names = new WeakMap<Accumulator, string>()

/**
 * Name under which a ledger stores an accumulator. A ring's and a bucket's content has a meaning only for its own
 * geometry, so that is part of the name: an edited window or rate starts a new one and cannot misread the old.
 */
export function accumulatorName(accumulator: Accumulator): string {
  const known = names.get(accumulator)
  if (known !== undefined) return known
  const name = nameOf(accumulator)
  names.set(accumulator, name)
  return name
}

function nameOf({ key, shape }: Accumulator): string {
  if (shape.kind === 'budget') return budgetName(key)
  if (shape.kind === 'concurrency') return `c:${key}`
  if (shape.kind === 'sliding') return `s${shape.windowMs}.${shape.slots}:${key}`
  if (shape.kind === 'span') return spanName(key)
  return `t${shape.amount}.${shape.periodMs}:${key}`
}

/** The name of a budget, of which the key says all. */
export function budgetName(key: string): string {
  return `b:${key}`
}

export function spanName(key: string): string {
  return `d:${key}`
}
