import { describe, expect, it } from 'vitest'
import type { Admitted } from '../../src/domain/decision.ts'
import { releaseFinished } from '../../src/upkeep/release.ts'
import { admitted, otherwise, purse, steps } from './fixtures.ts'

const WIDE = { limits: [], budgets: [{ ...purse, amount: 10 ** 15 }] }

const end = ({ hold }: Admitted) => hold.charges.map(() => 0)

describe('the notes of settlements', () => {
  it('are released once both stores have the settlement, and no sooner', async () => {
    const world = steps()
    const [done, owed] = [await admitted(WIDE, {}, world), await admitted(WIDE, {}, world)]
    for (const call of [done, owed]) {
      world.openCalls.open(call.hold, () => undefined)
      await world.memory.settle(call.hold, end(call), { note: '["ok"]' })
      world.openCalls.done(call.hold.id, 'ledger', true)
    }
    world.openCalls.done(done.hold.id, 'audit', true)
    await releaseFinished(world)
    expect(await world.memory.noteOf(done.hold.id)).toBeUndefined()
    expect(await world.memory.noteOf(owed.hold.id)).toBe('["ok"]')
    expect(world.seen).toEqual([])
  })

  it('are all released, a thousand at a time', async () => {
    const world = steps()
    const call = await admitted(WIDE, {}, world)
    for (let id = 0; id < 2_500; id += 1) {
      world.openCalls.open({ ...call.hold, id: `call-${id}.1` }, () => undefined)
      for (const store of ['ledger', 'audit'] as const) world.openCalls.done(`call-${id}.1`, store, true)
    }
    const sizes: number[] = []
    const ledger = otherwise(world.memory, { release: async (holds) => void sizes.push(holds.length) })
    await releaseFinished({ ...world, ledger })
    await releaseFinished({ ...world, ledger })
    expect(sizes).toEqual([1_000, 1_000, 500])
  })

  it('that cannot be released are told, and left to their age', async () => {
    const world = steps()
    const call = await admitted(WIDE, {}, world)
    world.openCalls.open(call.hold, () => undefined)
    for (const store of ['ledger', 'audit'] as const) world.openCalls.done(call.hold.id, store, true)
    const ledger = otherwise(world.memory, {
      release: async () => {
        throw new Error('away')
      },
    })
    await releaseFinished({ ...world, ledger })
    expect(world.seen).toEqual([['ledgerFailed', 'release', expect.any(Error)]])
  })
})
