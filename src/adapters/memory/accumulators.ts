/**
 * All accumulators of one process, by kind. `charge` looks at every one first and writes only when none refuses.
 */
import type { Accumulator, AccumulatorState, Charge } from '../../domain/accumulator.ts'
import type { Hold, Shortfall } from '../../domain/reservation.ts'
import { correctBucket, judgeBucket } from './bucket.ts'
import type { Bucket, BucketCharge } from './bucket.ts'
import { isStaleWindow, judgeCounter, postCounter, restoreBudget } from './counter.ts'
import type { Counter, CounterCharge } from './counter.ts'
import { correctRing, judgeRing } from './ring.ts'
import type { Ring, RingCharge } from './ring.ts'
import { createShelf } from './shelf.ts'
import type { Verdict } from './verdict.ts'

export type ChargeOutcome =
  | { readonly kind: 'charged'; readonly states: readonly AccumulatorState[]; readonly marks: readonly number[] }
  | { readonly kind: 'refused'; readonly shortfalls: readonly Shortfall[] }
  | { readonly kind: 'stale'; readonly nowMs: number }

export interface Settlement {
  readonly before: 'held' | 'expired'
  readonly actual: readonly number[]
  readonly nowUs: number
}

type KindOfCharge =
  | { readonly kind: 'counter'; readonly charge: CounterCharge }
  | { readonly kind: 'ring'; readonly charge: RingCharge }
  | { readonly kind: 'bucket'; readonly charge: BucketCharge }

function kindOf({ accumulator, amount }: Charge): KindOfCharge {
  const { shape } = accumulator
  if (shape.kind === 'sliding') return { kind: 'ring', charge: { amount, accumulator: { ...accumulator, shape } } }
  if (shape.kind === 'bucket') return { kind: 'bucket', charge: { amount, accumulator: { ...accumulator, shape } } }
  return { kind: 'counter', charge: { amount, accumulator: { ...accumulator, shape } } }
}

function shortfallsOf(verdicts: readonly Verdict[]): readonly Shortfall[] {
  return verdicts.flatMap(({ state, refusal }, index) => (refusal ? [{ index, state, ...refusal }] : []))
}

export function createAccumulators() {
  return new Accumulators()
}

class Accumulators {
  readonly #counters = createShelf<Counter>()
  readonly #rings = createShelf<Ring>()
  readonly #buckets = createShelf<Bucket>()

  charge(charges: readonly Charge[], nowUs: number): ChargeOutcome {
    const nowMs = Math.floor(nowUs / 1_000)
    if (charges.some(({ accumulator }) => isStaleWindow(accumulator.shape, nowMs))) return { kind: 'stale', nowMs }
    const verdicts = charges.map((charge) => this.#judge(charge, nowUs))
    const shortfalls = shortfallsOf(verdicts)
    if (shortfalls.length > 0) return { kind: 'refused', shortfalls }
    const marks = verdicts.map(({ take }) => take())
    return { kind: 'charged', states: verdicts.map(({ state }) => state), marks }
  }

  /** Answers how many budgets were charged more than they held. */
  settle(hold: Hold, settlement: Settlement): number {
    let overshoot = 0
    for (const [index, charge] of hold.charges.entries()) {
      const actual = settlement.actual[index] ?? 0
      this.#settleOne(charge, { ...settlement, actual, atUs: hold.atUs, mark: hold.marks[index] ?? 0 })
      if (charge.accumulator.shape.kind === 'budget' && actual > charge.amount) overshoot += 1
    }
    return overshoot
  }

  /** Budgets are charged in full, places become free; rings and buckets were charged at the reservation. */
  expire(hold: Hold, nowMs: number): void {
    for (const charge of hold.charges) {
      const of = kindOf(charge)
      if (of.kind !== 'counter') continue
      const add = of.charge.accumulator.shape.kind === 'budget' ? charge.amount : 0
      postCounter(this.#counters, of.charge, { free: charge.amount, add, nowMs })
    }
  }

  states(accumulators: readonly Accumulator[], nowUs: number): readonly AccumulatorState[] {
    return accumulators.map((accumulator) => this.#judge({ accumulator, amount: 0 }, nowUs).state)
  }

  restore(entries: readonly Parameters<typeof restoreBudget>[1][], nowMs: number): void {
    for (const entry of entries) restoreBudget(this.#counters, entry, nowMs)
  }

  sweep(nowMs: number, count: number): void {
    this.#counters.sweep(nowMs, count)
    this.#rings.sweep(nowMs, count)
    this.#buckets.sweep(nowMs, count)
  }

  size(): number {
    return this.#counters.size + this.#rings.size + this.#buckets.size
  }

  #judge(charge: Charge, nowUs: number): Verdict {
    const of = kindOf(charge)
    if (of.kind === 'ring') return judgeRing(this.#rings, of.charge, nowUs)
    if (of.kind === 'bucket') return judgeBucket(this.#buckets, of.charge, nowUs)
    return judgeCounter(this.#counters, of.charge, Math.floor(nowUs / 1_000))
  }

  #settleOne(
    charge: Charge,
    settlement: {
      readonly before: 'held' | 'expired'
      readonly actual: number
      readonly atUs: number
      readonly mark: number
      readonly nowUs: number
    },
  ): void {
    const of = kindOf(charge)
    if (of.kind === 'ring') return correctRing(this.#rings, of.charge, settlement)
    if (of.kind === 'bucket') return correctBucket(this.#buckets, of.charge, settlement)
    return this.#settleCounter(of.charge, settlement)
  }

  #settleCounter(
    charge: CounterCharge,
    settlement: { readonly before: 'held' | 'expired'; readonly actual: number; readonly nowUs: number },
  ): void {
    const wasHeld = settlement.before === 'held'
    const isBudget = charge.accumulator.shape.kind === 'budget'
    // An expired hold was charged in full, and its place is free since then: only the difference is left to post.
    if (!wasHeld && !isBudget) return
    postCounter(this.#counters, charge, {
      free: wasHeld ? charge.amount : 0,
      add: isBudget ? settlement.actual - (wasHeld ? 0 : charge.amount) : 0,
      nowMs: Math.floor(settlement.nowUs / 1_000),
    })
  }
}
