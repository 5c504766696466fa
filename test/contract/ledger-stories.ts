/**
 * Random stories that are played on two ledgers at once, the in-process one and another.
 */
import * as fc from 'fast-check'
import { STORY_SEED } from '../support/story-seed.ts'
import { expect } from 'vitest'

import type { Accumulator, Charge } from '../../src/domain/ledger/accumulator.ts'
import type { Hold, ReservationRequest } from '../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import type { VirtualLedger } from '../support/ledgers.ts'
import { HOUR, accumulator, bucket, hourly, lifetime, places, ring, run, span } from './ledger-fixtures.ts'

const STEPS_MAX = 60

type PoolEntry = (nowMs: number, limit: number) => Accumulator

/** Every kind, two shapes of some, over several shards; the calendar window is that of the moment. */
export const POOL: readonly PoolEntry[] = [
  (nowMs, limit) => hourly(nowMs, limit, { shard: 1 }),
  (_, limit) => lifetime(limit, { shard: 2 }),
  (_, limit) => places(limit % 4, { shard: 1_023 }),
  (_, limit) => ring(limit, { shard: 0 }),
  (_, limit) => accumulator({ kind: 'sliding', windowMs: 7_001, slots: 3 }, limit, { key: 'odd' }),
  (_, limit) => bucket(limit, { shard: 9 }),
  (_, limit) => accumulator({ kind: 'bucket', amount: 7, periodMs: 2_999 }, limit, { key: 'odd' }),
  (_, limit) => run(limit, { shape: { kind: 'budget', window: null, keptMs: 150_000 } }),
  (_, limit) => span(limit * 10_000, { shape: { kind: 'span', keptMs: 300_000 }, shard: 3 }),
]

export interface StoryOptions {
  /** What is charged. */
  readonly pool: readonly PoolEntry[]
  /** Limits that a request may name, the first for reading. */
  readonly limits: readonly [number, ...number[]]
  readonly versions: readonly [number, ...number[]]
  /** Whether some requests may be held shorter. */
  readonly fits: boolean
  /** Whether the list of all budgets is compared: on some ledgers a refused call leaves an empty one. */
  readonly listsBudgets: boolean
}

/** Of these a call takes exactly one. */
const ONE_EACH: ReadonlySet<string> = new Set(['concurrency', 'span'])

const OWNERS = ['test/audit/log', 'test/audit/log-2']

/** Leave to hold less; one term for each kind of the pool. */
function fitOf(kinds: number) {
  return fc.record({
    asked: fc.integer({ min: 5, max: 40 }),
    least: fc.integer({ min: 1, max: 5 }),
    terms: fc.array(
      fc.record({ base: fc.nat(6), perToken: fc.nat(3), mayShorten: fc.constantFrom(true, true, true, false) }),
      { minLength: kinds, maxLength: kinds },
    ),
  })
}

/** Steps of a story over these accumulators. */
function stepOf({ pool, limits, versions, fits }: StoryOptions) {
  const kinds = pool.map((_, index) => index)
  const fit = fits ? fc.option(fitOf(kinds.length), { freq: 2, nil: undefined }) : fc.constant(undefined)
  return fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('reserve' as const),
        // Few kinds at a time fill them up; many at a time refuse each other.
        kinds: fc.oneof(fc.subarray(kinds, { maxLength: 2 }), fc.subarray(kinds)),
        amount: fc.oneof(fc.nat(6), fc.nat(40)),
        limit: fc.constantFrom(...limits),
        version: fc.constantFrom(...versions),
        leaseMs: fc.constantFrom(1_000, 90_000, 7_000_000),
        // Now and then a gateway whose clock is an hour behind.
        behindMs: fc.constantFrom(0, 0, 0, 0, 0, 0, 0, 0, 0, HOUR),
        fit,
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('repeat' as const), which: fc.nat() }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('settle' as const),
        which: fc.nat(),
        actual: fc.array(fc.nat(45), { minLength: kinds.length, maxLength: kinds.length }),
        force: fc.boolean(),
        note: fc.constantFrom('', '["n"]'),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('void' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('voidUnknown' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('extend' as const), which: fc.nat() }) },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('reap' as const) }) },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('reassert' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('release' as const), which: fc.nat() }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('lose' as const) }) },
    {
      weight: 5,
      arbitrary: fc.record({
        do: fc.constant('advance' as const),
        ms: fc.oneof(fc.nat(1_500), fc.nat(30_000), fc.nat(200_000), fc.nat(9_000_000)),
      }),
    },
  )
}

type Step = ReturnType<typeof stepOf> extends fc.Arbitrary<infer Value> ? Value : never

/** Those that some dozen stories are sure to meet. */
export const COMMON_ANSWERS = ['held', 'refused', 'unknown'].map((kind) => JSON.stringify([kind]))

export const EVERY_ANSWER = [
  ['held'],
  ['held', 'shortened'],
  ['refused'],
  ['stale'],
  ['duplicate', 'held'],
  ['duplicate', 'expired'],
  ['duplicate', 'settled'],
  ['settled', 'held'],
  ['settled', 'expired'],
  ['settled', 'unknown'],
  ['already'],
  ['unknown'],
  ['reasserted'],
  ['known', 'held'],
  ['known', 'expired'],
  ['known', 'settled'],
].map((answer) => JSON.stringify(answer))

const NO_TERM = { base: 0, perToken: 0, mayShorten: false }

/** The kind of an answer and the state it names. */
function pick(answer: unknown): readonly unknown[] {
  if (typeof answer !== 'object' || answer === null || !('kind' in answer)) return []
  if ('state' in answer) return [answer.kind, answer.state]
  if ('isShortened' in answer) return answer.isShortened === true ? [answer.kind, 'shortened'] : [answer.kind]
  return 'before' in answer ? [answer.kind, answer.before] : [answer.kind]
}

/** One story on one ledger; what it does depends only on the steps and on its own answers. */
class Story {
  readonly #under: VirtualLedger
  readonly #options: StoryOptions
  readonly #requests: ReservationRequest[] = []
  readonly #holds = new Map<string, Hold>()

  constructor(under: VirtualLedger, options: StoryOptions) {
    this.#under = under
    this.#options = options
  }

  get #ledger(): Ledger {
    return this.#under.ledger
  }

  /** The answer, and everything that can be seen after it. */
  async play(one: Step) {
    const answer = await this.#do(one)
    const { pool, limits } = this.#options
    const read = pool.map((make) => make(this.#under.nowMs(), limits[0]))
    const holds = await this.#ledger.holds(1_000)
    const found = await this.#ledger.find(this.#requests.at(-1)?.id ?? 'none')
    // These look into every shard, so only where they can have changed.
    const ended = ['reap', 'settle', 'void', 'release'].includes(one.do)
    const expired = ended ? await this.#ledger.expired(OWNERS[0] ?? '', 1_000) : []
    const note = 'which' in one && ended ? await this.#ledger.noteOf(this.#named(one.which)?.id ?? 'none') : undefined
    const budgets = ended && this.#options.listsBudgets ? await this.#budgets() : []
    return { answer, balances: await this.#ledger.balances(read), budgets, holds, found, expired, note }
  }

  async #do(one: Step): Promise<unknown> {
    if (one.do === 'advance') return this.#under.advance(one.ms)
    if (one.do === 'lose') return this.#under.clear()
    if (one.do === 'reap') return [...(await this.#ledger.reap(1_000))].sort((a, b) => (a.id < b.id ? -1 : 1))
    if (one.do === 'reserve') return this.#reserve(one)
    if (one.do === 'voidUnknown') return this.#voidUnknown()
    const request = this.#named(one.which)
    if (!request) return undefined
    if (one.do === 'repeat') return this.#ledger.reserve(request)
    if (one.do === 'void') return this.#ledger.void(request)
    if (one.do === 'release') return this.#ledger.release([request])
    if (one.do === 'extend') return this.#ledger.extend([request], 50_000)
    const { fit: _, ...plain } = request
    const hold = this.#holds.get(request.id) ?? { ...plain, atUs: 0, marks: [] }
    if (one.do === 'reassert') return this.#ledger.reassert(hold, 50_000)
    const actual = request.charges.map((_, index) => one.actual[index] ?? 0)
    return this.#ledger.settle(hold, actual, { force: one.force, note: one.note })
  }

  async #budgets() {
    const pages = await Array.fromAsync(this.#ledger.budgets(() => true))
    return pages.flatMap((page) => page.budgets).toSorted((a, b) => (a.key < b.key ? -1 : 1))
  }

  #named(which: number): ReservationRequest | undefined {
    return this.#requests[which % Math.max(1, this.#requests.length)]
  }

  async #reserve(one: Extract<Step, { do: 'reserve' }>): Promise<unknown> {
    const nowMs = this.#under.nowMs() - one.behindMs
    const charges = one.kinds.map((kind): Charge => {
      const made = this.#options.pool[kind]?.(nowMs, one.limit)
      if (!made) throw new Error(`no kind ${kind}`)
      const amount = ONE_EACH.has(made.shape.kind) ? 1 : one.amount
      return { accumulator: { ...made, limitVersion: one.version }, amount }
    })
    const terms = charges.map(({ accumulator: { shape } }, index) =>
      ONE_EACH.has(shape.kind) ? { base: 1, perToken: 0, mayShorten: false } : (one.fit?.terms[index] ?? NO_TERM),
    )
    const request = {
      id: `id-${this.#requests.length}`,
      charges,
      fit: one.fit && { ...one.fit, terms },
      leaseMs: one.leaseMs,
      owner: OWNERS[this.#requests.length % 3 === 0 ? 1 : 0] ?? '',
    }
    this.#requests.push(request)
    const outcome = await this.#ledger.reserve(request)
    if (outcome.kind !== 'held') return outcome
    this.#holds.set(request.id, outcome.hold)
    return { ...outcome, isShortened: outcome.granted !== undefined && outcome.granted !== one.fit?.asked }
  }

  async #voidUnknown(): Promise<unknown> {
    const request = { id: `id-${this.#requests.length}`, charges: [], leaseMs: 1_000, owner: 'test/audit/log' }
    this.#requests.push(request)
    return this.#ledger.void(request)
  }
}

/** Plays a random story on both ledgers and compares every answer and the whole visible state after each step. */
export async function compareStories(
  ledgers: { readonly memory: VirtualLedger; readonly other: VirtualLedger },
  options: StoryOptions & { readonly runs: number; readonly endOnFailure: boolean },
): Promise<ReadonlySet<string>> {
  const { memory, other } = ledgers
  const seen = new Set<string>()
  const stories = fc.array(stepOf(options), { minLength: 10, maxLength: STEPS_MAX, size: 'max' })
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      await memory.clear()
      await other.clear()
      // The clocks of both ledgers go on over the runs, and stay the same.
      const [left, right] = [new Story(memory, options), new Story(other, options)]
      for (const one of story) {
        const expected = await left.play(one)
        expect(await right.play(one)).toEqual(expected)
        seen.add(JSON.stringify(pick(expected.answer)))
      }
    }),
    { ...STORY_SEED, numRuns: options.runs, endOnFailure: options.endOnFailure },
  )
  return seen
}
