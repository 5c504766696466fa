/** Who stands in for a ledger that is away gives each node its share and no more, and the ledger gets what was spent, once. */
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest'

import { createMemoryLedger } from '../../../src/adapters/memory/ledger.ts'
import { withStandIn } from '../../../src/adapters/memory/stand-in.ts'
import { createRedisLedger } from '../../../src/adapters/redis/ledger.ts'
import type { AwayShare, Charge } from '../../../src/domain/ledger/accumulator.ts'
import { LedgerUnavailable } from '../../../src/domain/failures.ts'
import { localId } from '../../../src/domain/ledger/reservation.ts'
import type { Hold } from '../../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import { bucket, lifetime, places, ring } from '../../contract/ledger-fixtures.ts'
import { otherwise } from '../../steps/fixtures.ts'

const START_MS = Date.UTC(2090, 0, 1)

/** A ledger that can be away, as one node sees it. */
function node(nodes: () => number | undefined = () => 1) {
  const clock = { nowMs: () => Date.now() }
  const store = createMemoryLedger({ clock })
  const state = { isAway: false, settles: 0, losesAnswers: 0 }
  const told: string[] = []
  const posted: string[] = []
  const answer = async <Value>(work: () => Promise<Value>): Promise<Value> => {
    if (state.isAway) throw new LedgerUnavailable('away', { fault: 'timeout' })
    const value = await work()
    if (state.losesAnswers === 0) return value
    state.losesAnswers -= 1
    throw new LedgerUnavailable('lost', { fault: 'connection_lost' })
  }
  const far: Ledger = otherwise(store, {
    reserve: (request) => answer(() => store.reserve(request)),
    async settle(hold, actual, options) {
      state.settles += 1
      return answer(() => store.settle(hold, actual, options))
    },
  })
  const ledger = withStandIn({
    ledger: far,
    clock,
    nodes,
    events: {
      ledgerFailed: (operation) => void told.push(operation),
      settlementAbandoned: (id) => void told.push(`abandoned ${id}`),
    },
    posted: (id) => void posted.push(id),
  })
  return { ledger, store, state, told, posted }
}

type Node = ReturnType<typeof node>

let ids = 0

const asks = (charges: readonly Charge[]) => {
  ids += 1
  return { id: `call-${ids}.1`, charges, leaseMs: 90_000, owner: 'node' }
}

const local = (accumulator: Charge['accumulator'], amount: number, awayShare: AwayShare | undefined): Charge => ({
  accumulator,
  amount,
  awayShare,
})

/** As the reserve step does: the ledger first, and this node alone when that is away. */
async function decide({ ledger }: Node, charges: readonly Charge[]): Promise<Hold | string> {
  const request = asks(charges)
  try {
    const outcome = await ledger.reserve(request)
    return outcome.kind === 'held' ? outcome.hold : outcome.kind
  } catch {
    const outcome = await ledger.reserveLocally?.({ ...request, id: localId(request.id) })
    if (outcome === undefined) return 'closed'
    return outcome.kind === 'held' ? outcome.hold : `locally ${outcome.kind}`
  }
}

async function settled(at: Node, charges: readonly Charge[], actual: readonly number[]) {
  const hold = await decide(at, charges)
  if (typeof hold === 'string') throw new Error(hold)
  return at.ledger.settle(hold, actual, { note: 'n' })
}

/** How many of these fit one after another. */
async function fitting(at: Node, charges: readonly Charge[], tries: number): Promise<number> {
  const outcomes: (Hold | string)[] = []
  for (let call = 0; call < tries; call += 1) outcomes.push(await decide(at, charges))
  return outcomes.filter((outcome) => typeof outcome !== 'string').length
}

const spentOf = async ({ store }: Node, charge: Charge) => (await store.balances([charge.accumulator]))[0]

beforeEach(() => {
  vi.useFakeTimers({ now: START_MS })
})
afterEach(() => {
  vi.useRealTimers()
})

describe('while the ledger is away', () => {
  it.each([
    ['a bucket', bucket(30), 10],
    ['a ring', ring(30), 10],
    ['places', places(30), 10],
    ['places that are fewer than nodes', places(2), 0],
  ])('a node gives its third of %s', async (_name, accumulator, share) => {
    const at = node(() => 3)
    at.state.isAway = true
    expect(await fitting(at, [local(accumulator, 1, 'of_limit')], 40)).toBe(share)
  })

  it("a bucket fills at the node's part of the rate", async () => {
    const at = node(() => 3)
    at.state.isAway = true
    const charges = [local(bucket(30), 1, 'of_limit')]
    await fitting(at, charges, 40)
    // One call a second is one in three seconds for a node of three.
    vi.setSystemTime(START_MS + 12_000)
    expect(await fitting(at, charges, 40)).toBe(4)
  })

  it('a node gives its part of what was left of a budget when it last saw it', async () => {
    const at = node(() => 2)
    const charge = local(lifetime(100), 10, 'of_rest')
    await settled(at, [charge], [10])
    await settled(at, [charge], [10])
    at.state.isAway = true
    // 80 were left, so 40 are this node's.
    expect(await fitting(at, [charge], 20)).toBe(4)
  })

  it('a refusal is a look at the budget, too', async () => {
    const at = node()
    await settled(at, [local(lifetime(100), 10, 'of_rest')], [10])
    await at.store.reserve(asks([local(lifetime(100), 85, undefined)]))
    expect(await decide(at, [local(lifetime(100), 10, 'of_rest')])).toBe('refused')
    at.state.isAway = true
    expect(await fitting(at, [local(lifetime(100), 1, 'of_rest')], 20)).toBe(5)
  })

  it('calls that come at once share one share', async () => {
    const at = node(() => 2)
    at.state.isAway = true
    const storm = await Promise.all(Array.from({ length: 30 }, () => decide(at, [local(places(20), 1, 'of_limit')])))
    expect(storm.filter((outcome) => typeof outcome !== 'string')).toHaveLength(10)
  })

  it('a call that is refused takes nothing from the next', async () => {
    const at = node()
    await settled(at, [local(lifetime(100), 50, 'of_rest')], [50])
    at.state.isAway = true
    expect(await decide(at, [local(lifetime(100), 60, 'of_rest')])).toBe('locally refused')
    expect(await fitting(at, [local(lifetime(100), 10, 'of_rest')], 9)).toBe(5)
  })

  it('a budget that was never seen gives nothing', async () => {
    const at = node()
    at.state.isAway = true
    expect(await decide(at, [local(lifetime(100), 1, 'of_rest')])).toBe('locally refused')
  })

  it('one closed rule among local ones, or none at all, gives nothing', async () => {
    const at = node()
    at.state.isAway = true
    expect(await decide(at, [local(places(9), 1, 'of_limit'), local(lifetime(9), 1, undefined)])).toBe('closed')
    expect(await decide(at, [])).toBe('closed')
  })

  it('a node that does not know how many there are gives nothing', async () => {
    const at = node(() => undefined)
    at.state.isAway = true
    expect(await decide(at, [local(places(9), 1, 'of_limit')])).toBe('closed')
  })

  it('a call that one share has no room for takes nothing of another', async () => {
    const at = node()
    at.state.isAway = true
    const both = [local(places(5), 1, 'of_limit'), local(bucket(1), 1, 'of_limit')]
    expect(await fitting(at, both, 5)).toBe(1)
    expect(await fitting(at, [local(places(5), 1, 'of_limit')], 9)).toBe(4)
  })

  it('what a call gives back of its bound can be given again', async () => {
    const at = node()
    const charge = local(lifetime(100), 50, 'of_rest')
    await settled(at, [charge], [0])
    at.state.isAway = true
    // The last look was before that call took its 50 away again.
    expect(await settled(at, [charge], [20])).toEqual({ kind: 'deferred' })
    expect(await decide(at, [local(lifetime(100), 30, 'of_rest')])).not.toBeTypeOf('string')
    expect(await decide(at, [local(lifetime(100), 1, 'of_rest')])).toBe('locally refused')
  })
})

describe('once the ledger is back', () => {
  it('has what was spent, each call once, also when its answers are lost', async () => {
    const at = node()
    const charge = local(lifetime(1_000), 10, 'of_rest')
    await settled(at, [charge], [10])
    at.state.isAway = true
    for (let call = 0; call < 40; call += 1) await settled(at, [charge], [7])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(await spentOf(at, charge)).toMatchObject({ settled: 10, held: 0 })
    expect(at.told.every((operation) => operation === 'post')).toBe(true)

    at.state.isAway = false
    at.state.losesAnswers = 21
    await vi.advanceTimersByTimeAsync(30_000)
    expect(await spentOf(at, charge)).toMatchObject({ settled: 10 + 40 * 7, held: 0 })
    expect(at.posted.toSorted()).toEqual([...new Set(at.posted)].toSorted())
    expect(at.posted).toHaveLength(40)
    const { settles } = at.state
    await vi.advanceTimersByTimeAsync(60_000)
    expect(at.state.settles).toBe(settles)
  })

  it('asks it not once a call while it is away: one try a second', async () => {
    const at = node()
    const charge = local(places(1_000), 1, 'of_limit')
    at.state.isAway = true
    for (let call = 0; call < 500; call += 1) await settled(at, [charge], [0])
    await vi.advanceTimersByTimeAsync(10_000)
    expect(at.state.settles).toBeLessThanOrEqual(10 * 16)
  })

  it('a call that goes on is settled when it ends, and posted then', async () => {
    const at = node()
    const charge = local(lifetime(100), 10, 'of_rest')
    await settled(at, [charge], [0])
    at.state.isAway = true
    const hold = await decide(at, [charge])
    at.state.isAway = false
    await vi.advanceTimersByTimeAsync(5_000)
    expect(at.posted).toEqual([])
    if (typeof hold === 'string') throw new Error(hold)
    await at.ledger.settle(hold, [8], { note: 'n' })
    await vi.advanceTimersByTimeAsync(5_000)
    expect(at.posted).toEqual([hold.id])
    expect(await spentOf(at, charge)).toMatchObject({ settled: 8, held: 0 })
  })

  it('the next outage gives nothing of a budget that was spent from, until the ledger was asked about it', async () => {
    const at = node()
    const charge = local(lifetime(100), 60, 'of_rest')
    await settled(at, [charge], [0])
    at.state.isAway = true
    await settled(at, [local(lifetime(100), 40, 'of_rest')], [40])
    at.state.isAway = false
    await vi.advanceTimersByTimeAsync(5_000)
    at.state.isAway = true
    expect(await decide(at, [local(lifetime(100), 1, 'of_rest')])).toBe('locally refused')
    at.state.isAway = false
    await settled(at, [local(lifetime(100), 1, 'of_rest')], [1])
    at.state.isAway = true
    expect(await fitting(at, [local(lifetime(100), 1, 'of_rest')], 100)).toBe(59)
  })

  it('whatever the outages, a budget of one node is not passed', async () => {
    const at = node()
    const charge = local(lifetime(100), 7, 'of_rest')
    for (let outage = 0; outage < 6; outage += 1) {
      at.state.isAway = false
      await vi.advanceTimersByTimeAsync(5_000)
      const before = await decide(at, [charge])
      if (typeof before !== 'string') await at.ledger.settle(before, [7], { note: 'n' })
      at.state.isAway = true
      for (let call = 0; call < 3; call += 1) {
        const hold = await decide(at, [charge])
        if (typeof hold !== 'string') await at.ledger.settle(hold, [7], { note: 'n' })
      }
    }
    at.state.isAway = false
    await vi.advanceTimersByTimeAsync(5_000)
    expect(await spentOf(at, charge)).toMatchObject({ settled: 98, held: 0 })
  })

  it('what it does not take within a day is given up, and said', async () => {
    const at = node()
    at.state.isAway = true
    await settled(at, [local(places(9), 1, 'of_limit')], [0])
    vi.setSystemTime(START_MS + 86_400_000)
    at.state.isAway = false
    await vi.advanceTimersByTimeAsync(5_000)
    expect(at.told.filter((line) => line.startsWith('abandoned'))).toHaveLength(1)
    expect(at.state.settles).toBe(0)
  })

  it('a gateway that stops posts what the ledger takes', async () => {
    const at = node()
    const charge = local(lifetime(100), 10, 'of_rest')
    await settled(at, [charge], [0])
    at.state.isAway = true
    await settled(at, [charge], [9])
    at.state.isAway = false
    await at.ledger[Symbol.asyncDispose]()
    expect(await spentOf(at, charge)).toMatchObject({ settled: 9 })
  })
})

it('what a ledger can do, one with somebody who stands in for it can', async () => {
  await using redis = createRedisLedger({ url: 'redis://127.0.0.1:1' })
  const clock = { nowMs: () => Date.now() }
  const events = { ledgerFailed: () => undefined, settlementAbandoned: () => undefined }
  const ledger = withStandIn({ ledger: redis, clock, events, nodes: () => 1, posted: () => undefined })
  const prototype: unknown = Object.getPrototypeOf(redis)
  const names = [...Object.keys(redis), ...Object.getOwnPropertyNames(prototype)].filter(
    // The store is a port of its own: who keeps it has it from Redis itself.
    (name) => name !== 'constructor' && name !== 'store',
  )
  expect(names).toContain('balances')
  for (const name of names) expect(ledger).toHaveProperty(name)
  // What a composition root does with it.
  await using parts = new AsyncDisposableStack()
  parts.use(ledger)
})
