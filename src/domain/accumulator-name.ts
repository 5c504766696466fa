import type { Accumulator } from './accumulator.ts'

/**
 * Name under which a ledger stores an accumulator. A ring's and a bucket's content has a meaning only for its own
 * geometry, so that is part of the name: an edited window or rate starts a new one and cannot misread the old.
 */
export function accumulatorName(accumulator: Accumulator): string {
  const { key, shape } = accumulator
  if (shape.kind === 'budget') return `b:${key}`
  if (shape.kind === 'concurrency') return `c:${key}`
  if (shape.kind === 'sliding') return `s${shape.windowMs}.${shape.slots}:${key}`
  return `t${shape.amount}.${shape.periodMs}:${key}`
}
