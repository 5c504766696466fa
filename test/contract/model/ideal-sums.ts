/**
 * What an accumulator must say, worked out from a plain list of everything that was ever taken from it. Nothing is kept
 * up to date here and nothing is clever: every question sums the list again.
 *
 * Budgets and places have one right answer. A ring may let go of what has left its window up to one sub-window late, and a
 * bucket need not refund, so theirs lies between two: `lo` is what the promise is about, and no ledger may say less.
 */
import type { Accumulator, AccumulatorShape } from '../../../src/domain/ledger/accumulator.ts'

/** One charge of one call, for ever. */
export interface Taken {
  readonly accumulator: Accumulator
  readonly amount: number
  /** The ledger's clock when it was taken. */
  readonly atMs: number
  /** The highest that clock had ever been then. */
  readonly latestMs: number
  state: 'held' | 'expired' | 'settled'
  /** What the call cost; its amount until that is known. */
  cost: number
  /** The clock at the settlement, and the highest it had been. */
  settled: { readonly atMs: number; readonly latestMs: number } | undefined
  /** Brought back after a loss: rings and buckets began anew without it. */
  readonly reasserted: boolean
}

/** The clock, the highest it has been, and by how much it was ever set back in all. */
export interface Time {
  readonly nowMs: number
  readonly latestMs: number
  readonly backMs: number
}

/** Whole numbers: the state that a ledger tells lies within. */
export interface Sums {
  readonly settled: readonly [lo: number, hi: number]
  readonly held: number
}

type Window = Extract<AccumulatorShape, { kind: 'budget' }>['window']

const HOUR_MS = 3_600_000
const DAY_MS = 24 * HOUR_MS

/** Sums of doubles are off by less than this. */
const ROUNDING = 1e-6

const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0)
const exactly = (value: number) => [value, value] as const

/** Windows of up to an hour are kept for 65 minutes after their end, longer ones for 35 days. */
export function isWindowKept(window: Window, { latestMs }: Time): boolean {
  if (window === null) return true
  const keptMs = window.endMs - window.startMs <= HOUR_MS ? 65 * 60_000 : 35 * DAY_MS
  return latestMs < window.endMs + keptMs
}

export function sumsOf({ shape }: Accumulator, taken: readonly Taken[], time: Time): Sums {
  if (shape.kind === 'sliding') return { settled: windowSums(shape, taken, time), held: 0 }
  if (shape.kind === 'bucket') return { settled: debts(shape, taken, time).map(Math.ceil) as [number, number], held: 0 }
  if (shape.kind === 'budget' && !isWindowKept(shape.window, time)) return { settled: exactly(0), held: 0 }
  const held = sum(taken.filter(({ state }) => state === 'held').map(({ amount }) => amount))
  const spent = shape.kind === 'budget' ? sum(taken.filter(isOver).map(({ cost }) => cost)) : 0
  return { settled: exactly(spent), held }
}

const isOver = ({ state }: Taken) => state !== 'held'

/** What a call cost beyond its charge: the one way in which an accumulator may pass its limit. */
export const excess = ({ cost, amount }: Taken) => Math.max(0, cost - amount)

/**
 * The true window is (now - window, now]. What the ledger still counts beside it began at most one sub-window earlier. A
 * clock that was set back leaves the ring where it was: true is then what lies behind the highest instant, and what came
 * in behind it stays a little longer.
 */
function windowSums(
  { windowMs, slots }: Extract<AccumulatorShape, { kind: 'sliding' }>,
  taken: readonly Taken[],
  { nowMs, latestMs }: Time,
): readonly [number, number] {
  const widthMs = Math.ceil((windowMs * 1_000) / slots) / 1_000
  const isTrue = (one: Taken) => !one.reasserted && one.atMs > latestMs - windowMs
  const mayCount = (one: Taken) => one.latestMs > nowMs - (slots + 1) * widthMs
  const most = (one: Taken) => {
    if (one.reasserted) return excess(one)
    return one.latestMs === one.atMs ? one.cost : Math.max(one.cost, one.amount)
  }
  return [sum(taken.filter(isTrue).map(({ cost }) => cost)), sum(taken.filter(mayCount).map(most))]
}

interface Drop {
  readonly atMs: number
  readonly amount: number
}

/**
 * The debt of an ideal bucket now. At least: each call poured in what it really cost when it came, and an excess when it
 * was known. At most: nothing was ever refunded. A clock that was set back may have drained it twice, or not at all.
 */
function debts(
  { amount, periodMs }: Extract<AccumulatorShape, { kind: 'bucket' }>,
  taken: readonly Taken[],
  { nowMs, latestMs, backMs }: Time,
): readonly [number, number] {
  const rate = amount / periodMs
  const slack = backMs * rate + ROUNDING
  const own = taken.filter(({ reasserted }) => !reasserted)
  const excesses = taken.flatMap((one) => (one.settled ? [{ when: one.settled, amount: excess(one) }] : []))
  const least = [
    ...own.map((one) => ({ atMs: one.latestMs, amount: Math.min(one.cost, one.amount) })),
    ...excesses.map(({ when, amount }) => ({ atMs: when.latestMs, amount })),
  ]
  const most = [
    ...own.map((one) => ({ atMs: one.atMs, amount: one.amount })),
    ...excesses.map(({ when, amount }) => ({ atMs: when.atMs, amount })),
  ]
  return [
    Math.max(0, debtOf(least, rate, latestMs) - slack),
    Math.max(0, debtOf(most, rate, nowMs) + (most.length > 0 ? slack : 0)),
  ]
}

function debtOf(drops: readonly Drop[], rate: number, nowMs: number): number {
  let debt = 0
  let atMs = 0
  for (const drop of drops.toSorted((left, right) => left.atMs - right.atMs)) {
    debt = Math.max(0, debt - (drop.atMs - atMs) * rate) + drop.amount
    atMs = drop.atMs
  }
  return Math.max(0, debt - Math.max(0, nowMs - atMs) * rate)
}
