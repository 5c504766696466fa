/**
 * All accumulators of one process, by kind. `charge` looks at every one first and writes only when none refuses.
 */
import type { Accumulator, AccumulatorState, Charge } from '../../domain/ledger/accumulator.ts'
import { affordableTokens, fitted } from '../../domain/ledger/fit.ts'
import type { Fit } from '../../domain/ledger/fit.ts'
import { beganMs } from '../../domain/ledger/reservation.ts'
import type { BudgetPage, Hold, Shortfall } from '../../domain/ledger/reservation.ts'
import type { SpanBeginning } from '../../domain/ledger/run-beginnings.ts'
import { correctBucket, judgeBucket } from './bucket.ts'
import type { Bucket, BucketCharge } from './bucket.ts'
import { isStaleWindow, judgeCounter, postCounter, restoreBudget } from './counter.ts'
import type { Counter, CounterCharge, RestoredSpend } from './counter.ts'
import { correctRing, judgeRing } from './ring.ts'
import type { Ring, RingCharge } from './ring.ts'
import { createShelf } from './shelf.ts'
import { beginSpan, judgeSpan, restoreSpan } from './span.ts'
import type { Span, SpanCharge } from './span.ts'
import type { Verdict } from './verdict.ts'

export type ChargeOutcome =
  | {
      readonly kind: 'charged'
      readonly states: readonly AccumulatorState[]
      readonly marks: readonly number[]
      /** What was taken from each accumulator. */
      readonly charges: readonly Charge[]
      /** With `fit`: the answer's maximum that it was taken for. */
      readonly granted: number | undefined
    }
  | { readonly kind: 'refused'; readonly shortfalls: readonly Shortfall[] }
  | { readonly kind: 'stale'; readonly nowMs: number }

export interface Settlement {
  readonly before: 'held' | 'expired'
  readonly actual: readonly number[]
  readonly nowUs: number
}

/** How the names of budgets begin; their keys follow. */
const BUDGET_NAME = 'b:'

function isRing(charge: Charge): charge is RingCharge {
  return charge.accumulator.shape.kind === 'sliding'
}

function isBucket(charge: Charge): charge is BucketCharge {
  return charge.accumulator.shape.kind === 'bucket'
}

function isCounter(charge: Charge): charge is CounterCharge {
  return charge.accumulator.shape.kind === 'budget' || charge.accumulator.shape.kind === 'concurrency'
}

function isSpan(charge: Charge): charge is SpanCharge {
  return charge.accumulator.shape.kind === 'span'
}

/** The compiler knows that there is none. */
function unknownKind({ accumulator }: Charge): never {
  throw new TypeError(`accumulator ${accumulator.key}: no ledger counts a ${accumulator.shape.kind}`)
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
  readonly #spans = createShelf<Span>()

  charge(charges: readonly Charge[], nowUs: number, fit?: Fit): ChargeOutcome {
    const nowMs = Math.floor(nowUs / 1_000)
    if (charges.some(({ accumulator }) => isStaleWindow(accumulator.shape, nowMs))) return { kind: 'stale', nowMs }
    const verdicts = charges.map((charge) => this.#judge(charge, nowUs))
    const shortfalls = shortfallsOf(verdicts)
    const granted = fit && affordableTokens(fit, shortfalls)
    if (shortfalls.length > 0 && granted === undefined) return { kind: 'refused', shortfalls }
    const taken = fit === undefined || granted === undefined ? charges : fitted(charges, fit, granted)
    const marks = verdicts.map(({ take }, index) => take(taken[index]?.amount ?? 0))
    return { kind: 'charged', states: verdicts.map(({ state }) => state), marks, charges: taken, granted }
  }

  /** Holds counters again, without a limit check, and begins spans where they began; what is no longer kept is gone. */
  reassert(hold: Hold, nowMs: number): void {
    for (const [index, charge] of hold.charges.entries()) {
      if (isCounter(charge)) judgeCounter(this.#counters, charge, nowMs).take(charge.amount)
      if (isSpan(charge)) beginSpan(this.#spans, charge, beganMs(hold, index), nowMs)
    }
  }

  /** Answers how many budgets were charged more than they held. */
  settle(hold: Hold, settlement: Settlement): number {
    let overshoot = 0
    for (let index = 0; index < hold.charges.length; index += 1) {
      const charge = hold.charges[index]
      if (charge === undefined) continue
      const actual = settlement.actual[index] ?? 0
      this.#settleOne(charge, { ...settlement, actual, atUs: hold.atUs, mark: hold.marks[index] ?? 0 })
      if (charge.accumulator.shape.kind === 'budget' && actual > charge.amount) overshoot += 1
    }
    return overshoot
  }

  /** Budgets are charged in full, places become free; all others were charged at the reservation. */
  expire(hold: Hold, nowMs: number): void {
    for (const charge of hold.charges) {
      if (!isCounter(charge)) continue
      const add = charge.accumulator.shape.kind === 'budget' ? charge.amount : 0
      postCounter(this.#counters, charge, { free: charge.amount, add, nowMs })
    }
  }

  states(accumulators: readonly Accumulator[], nowUs: number): readonly AccumulatorState[] {
    return accumulators.map((accumulator) => this.#judge({ accumulator, amount: 0 }, nowUs).state)
  }

  budgets(wanted: (key: string) => boolean, nowMs: number): BudgetPage {
    const named = this.#counters.entries(nowMs).filter(([name]) => name.startsWith(BUDGET_NAME))
    const budgets = named.flatMap(([name, { settled, held, inForce }]) => {
      const key = name.slice(BUDGET_NAME.length)
      return wanted(key) ? [{ key, settled, held, limit: inForce?.limit }] : []
    })
    return { seen: named.length, budgets }
  }

  restore(entries: readonly RestoredSpend[], nowMs: number): void {
    for (const entry of entries) restoreBudget(this.#counters, entry, nowMs)
  }

  restoreSpans(entries: readonly SpanBeginning[]): void {
    for (const entry of entries) restoreSpan(this.#spans, entry)
  }

  sweep(nowMs: number): void {
    this.#counters.sweep(nowMs)
    this.#rings.sweep(nowMs)
    this.#buckets.sweep(nowMs)
    this.#spans.sweep(nowMs)
  }

  size(): number {
    return this.#counters.size + this.#rings.size + this.#buckets.size + this.#spans.size
  }

  #judge(charge: Charge, nowUs: number): Verdict {
    if (isRing(charge)) return judgeRing(this.#rings, charge, nowUs)
    if (isBucket(charge)) return judgeBucket(this.#buckets, charge, nowUs)
    if (isCounter(charge)) return judgeCounter(this.#counters, charge, Math.floor(nowUs / 1_000))
    if (isSpan(charge)) return judgeSpan(this.#spans, charge, Math.floor(nowUs / 1_000))
    return unknownKind(charge)
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
    if (isRing(charge)) return correctRing(this.#rings, charge, settlement)
    if (isBucket(charge)) return correctBucket(this.#buckets, charge, settlement)
    if (isCounter(charge)) return this.#settleCounter(charge, settlement)
    if (isSpan(charge)) return
    unknownKind(charge)
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
