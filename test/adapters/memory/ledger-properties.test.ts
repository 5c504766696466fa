/**
 * What the arithmetic promises, against judges that know nothing of it: they look at who was admitted when, and at what
 * each call really cost.
 */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'

import { createMemoryLedger } from '../../../src/adapters/memory/ledger.ts'
import type { Accumulator } from '../../../src/domain/ledger/accumulator.ts'
import type { Hold } from '../../../src/domain/ledger/reservation.ts'
import { accumulator, lifetime, places } from '../../contract/ledger-fixtures.ts'

const LIMIT = 20
const RUNS = 400
const FOREVER = 7_000_000

/** An admitted call; `cost` is its charge until the settlement says what it really was. */
interface Admitted {
  readonly hold: Hold
  readonly atMs: number
  cost: number
}

const step = fc.oneof(
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('reserve' as const),
      amount: fc.oneof(fc.constant(LIMIT), fc.integer({ min: 1, max: LIMIT })),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant('settle' as const),
      which: fc.nat(),
      part: fc.constantFrom(0, 0.05, 0.5, 1),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({ do: fc.constant('advance' as const), ms: fc.oneof(fc.nat(1_100), fc.nat(12_000)) }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('reap' as const) }) },
)
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never
const stories = fc.array(step, { minLength: 5, maxLength: 60, size: 'max' })

/** Plays a story on one accumulator; `judge` sees everything after every step. */
async function play(
  story: readonly Step[],
  one: Accumulator,
  options: { readonly leaseMs: number; readonly judge: (world: World) => void | Promise<void> },
): Promise<readonly Admitted[]> {
  const world = new World(one, options.leaseMs)
  for (const each of story) {
    await world.step(each)
    await options.judge(world)
  }
  return world.admitted
}

class World {
  nowMs = 1_000_000_000_000
  readonly admitted: Admitted[] = []
  readonly ledger = createMemoryLedger({ clock: { nowMs: () => this.nowMs } })
  readonly #one: Accumulator
  readonly #leaseMs: number

  constructor(one: Accumulator, leaseMs: number) {
    this.#one = one
    this.#leaseMs = leaseMs
  }

  async step(each: Step): Promise<void> {
    if (each.do === 'advance') this.nowMs += each.ms
    if (each.do === 'reap') await this.ledger.reap(100)
    if (each.do === 'reserve') await this.#reserve(each.amount)
    if (each.do === 'settle') await this.#settle(each.which, each.part)
  }

  async #reserve(wanted: number): Promise<void> {
    const amount = this.#one.shape.kind === 'concurrency' ? 1 : wanted
    const request = {
      id: `id-${this.admitted.length}-${this.nowMs}`,
      charges: [{ accumulator: this.#one, amount }],
      leaseMs: this.#leaseMs,
      owner: 'test/audit/log',
    }
    const outcome = await this.ledger.reserve(request)
    if (outcome.kind === 'held') this.admitted.push({ hold: outcome.hold, atMs: this.nowMs, cost: amount })
  }

  async #settle(which: number, part: number): Promise<void> {
    const call = this.admitted[which % Math.max(1, this.admitted.length)]
    if (!call) return
    const actual = Math.floor((call.hold.charges[0]?.amount ?? 0) * part)
    const outcome = await this.ledger.settle(call.hold, [actual])
    if (outcome.kind === 'settled') call.cost = actual
  }
}

test.each([
  ['budget', lifetime(LIMIT)],
  ['concurrency', places(LIMIT)],
])('settled plus held of a %s never passes its limit, at any step', async (_, one) => {
  const judge = async (world: World) => {
    const [state] = await world.ledger.balances([one])
    expect((state?.settled ?? Number.NaN) + (state?.held ?? Number.NaN)).toBeLessThanOrEqual(LIMIT)
    // A budget knows every cost to the last unit; a place has none.
    const costs = world.admitted.reduce((sum, { cost }) => sum + cost, 0)
    const isBudget = one.shape.kind === 'budget'
    expect(isBudget ? (state?.settled ?? 0) + (state?.held ?? 0) : costs).toBe(costs)
  }
  await fc.assert(
    fc.asyncProperty(stories, async (story) => void (await play(story, one, { leaseMs: 5_000, judge }))),
    {
      numRuns: RUNS,
    },
  )
})

test.each([
  [6_000, 6],
  [7_001, 3],
  [5_000, 1],
])('no true window of %i ms in %i parts ever holds more than the limit', async (windowMs, slots) => {
  const one = accumulator({ kind: 'sliding', windowMs, slots }, LIMIT)
  // The heaviest window that ends at a moment of admission is the heaviest of all.
  const judge = ({ admitted, nowMs }: World) => {
    const inWindow = admitted.filter(({ atMs }) => atMs > nowMs - windowMs)
    expect(inWindow.reduce((sum, { cost }) => sum + cost, 0)).toBeLessThanOrEqual(LIMIT)
  }
  await fc.assert(
    fc.asyncProperty(stories, async (story) => void (await play(story, one, { leaseMs: FOREVER, judge }))),
    { numRuns: RUNS },
  )
})

test('what calls really cost conforms to burst and rate in every interval, whatever is refunded when', async () => {
  const amount = 3
  const periodMs = 1_000
  const one = accumulator({ kind: 'bucket', amount, periodMs }, LIMIT)
  await fc.assert(
    fc.asyncProperty(stories, async (story) => {
      const admitted = await play(story, one, { leaseMs: FOREVER, judge: () => undefined })
      // The ideal bucket, charged with each call's true cost at the moment of its admission.
      let debt = 0
      let atMs = 0
      for (const call of admitted) {
        debt = Math.max(0, debt - ((call.atMs - atMs) * amount) / periodMs) + call.cost
        atMs = call.atMs
        expect(debt).toBeLessThanOrEqual(LIMIT + 1e-6)
      }
    }),
    { numRuns: RUNS },
  )
})
