import { describe, expect, it } from 'vitest'
import { createOpenCalls } from '../../src/upkeep/open-calls.ts'

const hold = (id: string) => ({ id, charges: [], atUs: 0, marks: [] })

describe('open calls', () => {
  it('are counted and listed while they hold something', () => {
    const calls = createOpenCalls()
    calls.open(hold('a'), () => undefined)
    calls.open(hold('b'), () => undefined)
    calls.close('a')
    calls.close('unknown')
    expect(calls.count()).toBe(1)
    expect(calls.holds().map(({ id }) => id)).toEqual(['b'])
  })

  it('are all told to halt, and only those that are open', () => {
    const halted: string[] = []
    const calls = createOpenCalls()
    for (const id of ['a', 'b', 'c']) calls.open(hold(id), () => void halted.push(id))
    calls.close('b')
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
