import { describe, expect, it } from 'vitest'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'

const hold = (id: string) => ({ id, charges: [], atUs: 0, marks: [], owner: 'test/audit/log' })

describe('open calls', () => {
  it('are counted and listed until both stores are done with them', () => {
    const calls = createOpenCalls()
    for (const id of ['a', 'b']) calls.open(hold(id), () => undefined)
    calls.done('unknown', 'ledger', true)
    calls.settling('a', [7])
    expect(calls.calls()).toEqual([
      { hold: hold('a'), settled: [7] },
      { hold: hold('b'), settled: undefined },
    ])
    calls.done('a', 'ledger', true)
    expect(calls.calls().map((call) => call.hold.id)).toEqual(['a', 'b'])
    calls.done('a', 'audit', true)
    calls.settling('a', [8])
    expect(calls.calls()).toEqual([{ hold: hold('b'), settled: undefined }])
    expect(calls.count()).toBe(1)
  })

  it('need their lease only as long as the ledger has not settled them', () => {
    const calls = createOpenCalls()
    for (const id of ['a', 'b', 'c']) calls.open(hold(id), () => undefined)
    calls.done('a', 'ledger', true)
    calls.done('b', 'audit', true)
    expect(calls.holds().map(({ id }) => id)).toEqual(['b', 'c'])
  })

  it('are finished once both stores have their settlement, not when one was given up on, and taken once', () => {
    const calls = createOpenCalls()
    for (const id of ['a', 'b', 'c']) calls.open(hold(id), () => undefined)
    for (const id of ['a', 'b', 'c']) {
      calls.done(id, 'audit', id !== 'b')
      calls.done(id, 'ledger', true)
    }
    expect(calls.takeFinished(1).map(({ id }) => id)).toEqual(['a'])
    expect(calls.takeFinished(10).map(({ id }) => id)).toEqual(['c'])
    expect(calls.takeFinished(10)).toEqual([])
  })

  it('owe the log a record until it has it, also when the ledger is still to be done', () => {
    const calls = createOpenCalls()
    const write = async () => undefined
    calls.open(hold('a'), () => undefined)
    calls.owe('a', write)
    calls.owe('unknown', write)
    expect(calls.owed()).toEqual([{ id: 'a', write }])
    calls.done('a', 'audit', true)
    expect(calls.owed()).toEqual([])
    expect(calls.count()).toBe(1)
    calls.done('a', 'ledger', false)
    expect(calls.count()).toBe(0)
    expect(calls.takeFinished(10)).toEqual([])
  })

  it('are all told to halt, and only those that are open', () => {
    const halted: string[] = []
    const calls = createOpenCalls()
    for (const id of ['a', 'b', 'c']) calls.open(hold(id), () => void halted.push(id))
    for (const store of ['ledger', 'audit'] as const) calls.done('b', store, true)
    calls.haltAll()
    expect(halted).toEqual(['a', 'c'])
  })

  it('are waited for until no work is left, also work that began meanwhile, however it ends', async () => {
    const calls = createOpenCalls()
    const first = Promise.withResolvers<void>()
    const second = Promise.withResolvers<void>()
    calls.track(first.promise)
    let isIdle = false
    const idle = calls.idle().then(() => void (isIdle = true))
    calls.track(second.promise)
    first.reject(new Error('failed'))
    await new Promise(setImmediate)
    expect(isIdle).toBe(false)
    second.resolve()
    await idle
    expect(isIdle).toBe(true)
  })

  it('are idle at once when nothing was ever done', async () => {
    await createOpenCalls().idle()
    expect(createOpenCalls().count()).toBe(0)
  })
})
