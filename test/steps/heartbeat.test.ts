import { describe, expect, it } from 'vitest'
import { createMemoryLedger } from '../../src/adapters/memory/ledger.ts'
import { CALL_LIFE_MAX_MS, LEASE_MS } from '../../src/domain/ledger/reservation.ts'
import { beat } from '../../src/upkeep/heartbeat.ts'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'
import { admitted, otherwise, purse, steps } from './fixtures.ts'

const WIDE = { limits: [], budgets: [{ ...purse, amount: 10 ** 15 }] }

/** Open calls of one process over a ledger in memory. */
async function living(count: number) {
  const world = steps()
  const calls = await Promise.all(Array.from({ length: count }, () => admitted(WIDE, {}, world)))
  for (const { hold } of calls) world.openCalls.open(hold, () => undefined)
  return { ...world, calls }
}

describe('a heartbeat', () => {
  it('gives every open hold another lease', async () => {
    const world = await living(3)
    world.clock.ms += LEASE_MS - 1
    await beat(world)
    world.clock.ms += LEASE_MS - 1
    expect(await world.memory.reap(10)).toEqual([])
    expect(world.seen).toEqual([])
  })

  it('ends calls that are older than any may be, once, and lets go of their leases', async () => {
    let now = 0
    const openCalls = createOpenCalls(() => now)
    const world = await living(0)
    const halted: string[] = []
    const open = async () => {
      const { hold } = await admitted(WIDE, {}, world)
      openCalls.open(hold, () => void halted.push(hold.id))
      return hold.id
    }
    const old = await open()
    now = CALL_LIFE_MAX_MS
    const young = await open()
    await beat({ ...world, openCalls })
    expect(halted).toEqual([])
    now += 1
    for (let time = 0; time < 2; time += 1) await beat({ ...world, openCalls })
    expect(halted).toEqual([old])
    expect(world.seen).toEqual([['callsOutlived', 1]])
    expect(openCalls.holds().map(({ id }) => id)).toEqual([young])
    expect(openCalls.count()).toBe(2)
  })

  it('brings back what the ledger has lost, and says how much', async () => {
    const world = await living(120)
    const ledger = createMemoryLedger({ clock: world.clock })
    await beat({ ...world, ledger })
    expect((await ledger.holds(1_000)).map(({ id }) => id).toSorted()).toEqual(
      world.calls.map(({ hold }) => hold.id).toSorted(),
    )
    expect(world.seen).toEqual([['holdsReasserted', 120]])
  })

  it('leaves expired holds charged, and says how many', async () => {
    const world = await living(2)
    world.clock.ms += LEASE_MS
    await world.memory.reap(10)
    await beat(world)
    expect(world.seen).toEqual([['holdsLost', 2]])
    expect(await world.memory.holds(10)).toEqual([])
  })

  it('says nothing of a call that settles while it is under way', async () => {
    const world = await living(1)
    const ledger = otherwise(world.memory, {
      async extend(holds, leaseMs) {
        for (const { hold } of world.calls)
          await world.memory.settle(
            hold,
            hold.charges.map(() => 0),
          )
        return world.memory.extend(holds, leaseMs)
      },
    })
    await beat({ ...world, ledger })
    expect(world.seen).toEqual([])
    expect(await world.memory.holds(10)).toEqual([])
  })

  it('goes on with the next batch when one fails', async () => {
    const world = await living(501)
    let asked = 0
    const ledger = otherwise(world.memory, {
      async extend(holds, leaseMs) {
        asked += 1
        if (asked === 1) throw new Error('away')
        return world.memory.extend(holds, leaseMs)
      },
    })
    await beat({ ...world, ledger })
    expect(asked).toBe(2)
    expect(world.seen).toEqual([['ledgerFailed', 'extend']].map((entry) => expect.arrayContaining(entry)))
  })
})
