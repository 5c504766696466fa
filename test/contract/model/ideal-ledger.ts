/**
 * The ledger as its port describes it, written from first principles: a list of calls, each with its life and its times.
 * It decides nothing by itself where the port leaves a choice: it is told what a ledger answered and says whether that
 * was right.
 */
import { fail, ok } from 'node:assert/strict'

import { accumulatorName } from '../../../src/domain/ledger/accumulator-name.ts'
import type { Accumulator, AccumulatorState, Charge } from '../../../src/domain/ledger/accumulator.ts'
import type {
  Hold,
  ReassertOutcome,
  ReservationRequest,
  ReserveOutcome,
} from '../../../src/domain/ledger/reservation.ts'
import type { SettleOutcome } from '../../../src/domain/ledger/reservation.ts'
import { excess, isWindowKept, sumsOf } from './ideal-sums.ts'
import type { Sums, Taken, Time } from './ideal-sums.ts'
import { same } from './same.ts'

const MINUTE_MS = 60_000
const DAY_MS = 24 * 60 * MINUTE_MS

/** A settlement is remembered this long, with a note a day; an expired hold can be corrected for a week. */
const REMEMBERED_MS = 2 * MINUTE_MS
const NOTED_MS = DAY_MS
const CORRECTED_MS = 7 * DAY_MS

/** A counter of places is forgotten, and the limit it knew with it, when nobody has held one for this long. */
const IDLE_MS = 60 * MINUTE_MS

interface Call {
  readonly hold: Hold
  readonly taken: readonly Taken[]
  state: 'held' | 'expired' | 'settled'
  leaseUntilMs: number
  expiredAtMs: number
  /** When its id means nothing any more; held calls are known until something happens to them. */
  knownUntilMs: number
  note: string
}

interface InForce {
  readonly limit: number
  readonly version: number
}

/** What one budget may have come to: its largest limit, and what may come on top of it. */
interface Ceiling {
  limit: number
  /** Brought back after a loss, without a limit check. */
  reasserted: number
}

const isCounter = ({ shape }: Accumulator) => shape.kind === 'budget' || shape.kind === 'concurrency'

type Room = 'yes' | 'no' | 'either'

export class IdealLedger {
  nowMs: number
  #latestMs: number
  #backMs = 0
  #calls: Call[] = []
  /** By accumulator. */
  readonly #taken = new Map<string, Taken[]>()
  /** By accumulator: the limit of the newest policy that charged it, and the most it may have come to. */
  readonly #inForce = new Map<string, InForce>()
  readonly #ceilings = new Map<string, Ceiling>()
  /** Buckets that may have forgotten the limit they knew before an excess was poured in. */
  readonly #forgetful = new Set<string>()
  /** When the last place of a counter became free. */
  readonly #idleFrom = new Map<string, number>()

  constructor(nowMs: number) {
    this.nowMs = nowMs
    this.#latestMs = nowMs
  }

  advance(ms: number): void {
    this.nowMs += ms
    this.#latestMs = Math.max(this.#latestMs, this.nowMs)
    if (ms < 0) this.#backMs -= ms
  }

  /** The store forgets everything. */
  lose(): void {
    this.#calls = []
    this.#taken.clear()
    this.#inForce.clear()
    this.#ceilings.clear()
    this.#idleFrom.clear()
    this.#forgetful.clear()
  }

  reserve(request: ReservationRequest, outcome: ReserveOutcome): void {
    const known = this.#known(request.id)
    if (known) return same(outcome, { kind: 'duplicate', state: known.state }, request.id)
    if (request.charges.some((charge) => this.#isStale(charge))) {
      return same(outcome, { kind: 'stale', nowMs: this.nowMs }, request.id)
    }
    if (outcome.kind === 'refused') return this.#refused(request, outcome.shortfalls)
    if (outcome.kind !== 'held') return fail(`a new id is answered with ${JSON.stringify(outcome)}`)
    return this.#held(request, outcome)
  }

  settle(hold: Hold, actual: readonly number[], options: { readonly force: boolean; readonly note: string }) {
    const call = this.#known(hold.id)
    if (call) return this.#settle(call, actual, options.note)
    if (!options.force) return { kind: 'unknown' }
    this.reassert(hold, 1)
    return { ...this.#settle(this.#known(hold.id), actual, options.note), before: 'unknown' }
  }

  void(request: ReservationRequest): SettleOutcome {
    const call = this.#known(request.id)
    const nothing = request.charges.map(() => 0)
    if (call) return this.#settle(call, nothing, '')
    const stranger = { hold: { ...request, atUs: 0, marks: [] }, taken: [], expiredAtMs: 0, leaseUntilMs: 0, note: '' }
    this.#calls.push({ ...stranger, state: 'settled', knownUntilMs: this.nowMs + REMEMBERED_MS })
    return { kind: 'settled', before: 'unknown', overshoot: 0 }
  }

  /** Brings a hold back, without rings and buckets, and whatever its limits are. */
  reassert(hold: Hold, leaseMs: number): ReassertOutcome {
    const known = this.#known(hold.id)
    if (known) return { kind: 'known', state: known.state }
    for (const { accumulator, amount } of hold.charges) {
      const isKept = accumulator.shape.kind === 'concurrency' || this.#isKeptBudget(accumulator)
      if (isKept) this.#judgedBy(accumulator, this.#limits(accumulator)[0])
      this.#ceiling(accumulatorName(accumulator)).reasserted += amount
    }
    const marks = hold.charges.map(({ accumulator }) => (isCounter(accumulator) ? 0 : -1))
    this.#take({ ...hold, marks }, { atMs: hold.atUs / 1_000, leaseMs, reasserted: true })
    return { kind: 'reasserted' }
  }

  release(id: string): void {
    const call = this.#known(id)
    if (call?.state !== 'settled' || call.note === '') return
    call.note = ''
    call.knownUntilMs = this.nowMs + REMEMBERED_MS
  }

  extend(id: string, leaseMs: number): readonly string[] {
    const call = this.#known(id)
    if (call?.state !== 'held') return [id]
    call.leaseUntilMs = Math.max(call.leaseUntilMs, this.nowMs + leaseMs)
    return []
  }

  /** The ids that a reaper must charge now. */
  reap(): readonly string[] {
    const due = this.#calls.filter(({ state, leaseUntilMs }) => state === 'held' && leaseUntilMs <= this.nowMs)
    for (const call of due) {
      call.state = 'expired'
      call.expiredAtMs = this.nowMs
      call.knownUntilMs = this.nowMs + CORRECTED_MS
      for (const one of call.taken) {
        one.state = 'expired'
        this.#freed(one)
      }
    }
    return due.map(({ hold }) => hold.id).sort()
  }

  /** Open holds with the end of their leases. */
  holds(): readonly (readonly [id: string, untilMs: number])[] {
    const open = this.#calls.filter(({ state }) => state === 'held')
    return open
      .map(({ hold, leaseUntilMs }) => [hold.id, leaseUntilMs] as const)
      .sort(([a, atA], [b, atB]) => atA - atB || (a < b ? -1 : 1))
  }

  expired(owner: string): readonly Hold[] {
    const own = this.#calls.filter(
      (call) => call.state === 'expired' && call.hold.owner === owner && this.#isKnown(call),
    )
    return own.sort((a, b) => a.expiredAtMs - b.expiredAtMs || (a.hold.id < b.hold.id ? -1 : 1)).map(({ hold }) => hold)
  }

  find(id: string): Hold | undefined {
    const call = this.#known(id)
    return call?.state === 'settled' ? undefined : call?.hold
  }

  noteOf(id: string): string | undefined {
    return this.#known(id)?.note || undefined
  }

  /** Is this what an accumulator may say now? Also promise 1: never above its largest limit, but for a bill above a bound. */
  judgeState(accumulator: Accumulator, { limit, settled, held }: AccumulatorState): void {
    const sums = this.#sums(accumulator)
    const wrong = (what: string, right: unknown) => {
      const told = JSON.stringify({ limit, settled, held })
      fail(`${accumulator.key} ${JSON.stringify(accumulator.shape)} tells ${told}: ${what} ${JSON.stringify(right)}`)
    }
    if (held !== sums.held) wrong('held is', sums.held)
    if (settled < sums.settled[0]) wrong('settled is at least', sums.settled[0])
    if (settled > sums.settled[1]) wrong('settled is at most', sums.settled[1])
    const limits = this.#limits(accumulator, sums)
    if (!limits.includes(limit)) wrong('the limit is', limits)
    if (accumulator.shape.kind !== 'budget' || !this.#isKeptBudget(accumulator)) return
    const ceiling = this.#ceiling(accumulatorName(accumulator))
    const over = this.#takenFrom(accumulator).reduce((total, one) => total + excess(one), 0)
    const most = ceiling.limit + ceiling.reasserted + over
    if (settled + held > most) wrong('by promise 1, settled and held are at most', most)
  }

  #held(request: ReservationRequest, { hold, states }: Extract<ReserveOutcome, { kind: 'held' }>): void {
    const { leaseMs, ...asked } = request
    same(hold, { ...asked, atUs: this.nowMs * 1_000, marks: hold.marks }, 'the hold')
    for (const [index, charge] of request.charges.entries()) {
      const state = states[index] ?? fail(`no state for charge ${index}`)
      this.judgeState(charge.accumulator, state)
      ok(this.#room(charge, state.limit) !== 'no', `${charge.accumulator.key} was admitted, and had no room`)
      this.#judgedBy(charge.accumulator, state.limit)
    }
    this.#take(hold, { atMs: this.nowMs, leaseMs, reasserted: false })
  }

  #refused(
    { charges }: ReservationRequest,
    shortfalls: Extract<ReserveOutcome, { kind: 'refused' }>['shortfalls'],
  ): void {
    ok(shortfalls.length > 0, 'a refusal says nothing of why')
    for (const [index, charge] of charges.entries()) {
      const shortfall = shortfalls.find((one) => one.index === index)
      if (shortfall) this.judgeState(charge.accumulator, shortfall.state)
      const limits = shortfall ? [shortfall.state.limit] : this.#limits(charge.accumulator)
      const wrong = shortfall ? 'yes' : 'no'
      const where = `${charge.accumulator.key} was ${shortfall ? '' : 'not '}among what refused`
      ok(!limits.every((limit) => this.#room(charge, limit) === wrong), where)
    }
  }

  #room({ accumulator, amount }: Charge, limit: number): Room {
    const { settled, held } = this.#sums(accumulator)
    if (settled[0] + held + amount > limit) return 'no'
    return settled[1] + held + amount <= limit ? 'yes' : 'either'
  }

  /** The newest policy's limit; what an accumulator says that has nothing in it any more may be the asker's own. */
  #limits(accumulator: Accumulator, sums: Sums = this.#sums(accumulator)): readonly [number, ...number[]] {
    const { limit, limitVersion: version, shape } = accumulator
    const name = accumulatorName(accumulator)
    const stored = this.#inForce.get(name)
    if (!stored || version >= stored.version) return [limit]
    if (shape.kind === 'budget') return [this.#isKeptBudget(accumulator) ? stored.limit : limit]
    if (shape.kind !== 'concurrency') {
      return sums.settled[0] === 0 || this.#forgetful.has(name) ? [stored.limit, limit] : [stored.limit]
    }
    const isForgotten = sums.held === 0 && this.#latestMs >= (this.#idleFrom.get(name) ?? Infinity) + IDLE_MS
    return [isForgotten ? limit : stored.limit]
  }

  #freed({ accumulator }: Taken): void {
    if (this.#sums(accumulator).held === 0) this.#idleFrom.set(accumulatorName(accumulator), this.nowMs)
  }

  /** Limits of different versions differ in these stories, so a limit tells whose it was. */
  #judgedBy({ limit, limitVersion: version, ...accumulator }: Accumulator, used: number): void {
    const name = accumulatorName({ limit, limitVersion: version, ...accumulator })
    if (used === limit) this.#inForce.set(name, { limit, version })
    this.#forgetful.delete(name)
    const ceiling = this.#ceiling(name)
    ceiling.limit = Math.max(ceiling.limit, used)
  }

  #take(
    hold: Hold,
    { atMs, leaseMs, reasserted }: { readonly atMs: number; readonly leaseMs: number; readonly reasserted: boolean },
  ): void {
    const taken = hold.charges.map(({ accumulator, amount }): Taken => ({
      accumulator,
      amount,
      atMs,
      latestMs: this.#latestMs,
      state: 'held',
      cost: amount,
      settled: undefined,
      reasserted,
    }))
    for (const one of taken) {
      const name = accumulatorName(one.accumulator)
      this.#taken.set(name, [...(this.#taken.get(name) ?? []), one])
    }
    const leaseUntilMs = this.nowMs + leaseMs
    this.#calls.push({ hold, taken, state: 'held', leaseUntilMs, expiredAtMs: 0, knownUntilMs: Infinity, note: '' })
  }

  #settle(call: Call | undefined, actual: readonly number[], note: string): SettleOutcome {
    if (!call || call.state === 'settled') return { kind: 'already' }
    const before = call.state
    for (const [index, one] of call.taken.entries()) {
      if (this.#sums(one.accumulator).settled[0] === 0) this.#forgetful.add(accumulatorName(one.accumulator))
      one.state = 'settled'
      one.cost = actual[index] ?? 0
      one.settled = { atMs: this.nowMs, latestMs: this.#latestMs }
      if (before === 'held') this.#freed(one)
    }
    call.state = 'settled'
    call.note = note
    call.knownUntilMs = this.nowMs + (note === '' ? REMEMBERED_MS : NOTED_MS)
    const over = call.taken.filter((one) => one.accumulator.shape.kind === 'budget' && excess(one) > 0)
    return { kind: 'settled', before, overshoot: over.length }
  }

  #known(id: string): Call | undefined {
    return this.#calls.findLast((call) => call.hold.id === id && this.#isKnown(call))
  }

  /** What was forgotten stays so, also when the clock is set back. */
  #isKnown({ knownUntilMs }: Call): boolean {
    return this.#latestMs < knownUntilMs
  }

  #isStale({ accumulator: { shape } }: Charge): boolean {
    if (shape.kind !== 'budget' || shape.window === null) return false
    return this.nowMs < shape.window.startMs || this.nowMs >= shape.window.endMs
  }

  #isKeptBudget({ shape }: Accumulator): boolean {
    return shape.kind === 'budget' && isWindowKept(shape.window, this.#time)
  }

  get #time(): Time {
    return { nowMs: this.nowMs, latestMs: this.#latestMs, backMs: this.#backMs }
  }

  #sums(accumulator: Accumulator): Sums {
    return sumsOf(accumulator, this.#takenFrom(accumulator), this.#time)
  }

  #takenFrom(accumulator: Accumulator): readonly Taken[] {
    return this.#taken.get(accumulatorName(accumulator)) ?? []
  }

  #ceiling(name: string): Ceiling {
    const known = this.#ceilings.get(name)
    if (known) return known
    const ceiling = { limit: 0, reasserted: 0 }
    this.#ceilings.set(name, ceiling)
    return ceiling
  }
}
