/**
 * What is to be given back after a refusal: delivered however often it takes, or reported.
 */
import { expect, test, vi } from 'vitest'

import { Outbox } from '../../../../src/adapters/redis/parts/outbox.ts'

const nothing = () => undefined

test('what fails is sent again until it is acknowledged, and the same id waits for it', async () => {
  const report = vi.fn(nothing)
  const outbox = new Outbox(report)
  const write = vi.fn(async () => undefined)
  write.mockRejectedValueOnce(new Error('away')).mockRejectedValueOnce(new Error('away'))
  outbox.add('call.1', [write])
  // It was sent before `add` returned.
  expect(write).toHaveBeenCalledTimes(1)
  expect(await outbox.isSettled('other.1')).toBe(true)
  await vi.waitUntil(() => outbox.isSettled('call.1'), { timeout: 10_000 })
  expect(write).toHaveBeenCalledTimes(3)
  expect(report).not.toHaveBeenCalled()
  await outbox.close()
})

test('a caller that asks again too soon is told so, and not kept waiting', async () => {
  const outbox = new Outbox(nothing)
  const answer = Promise.withResolvers<undefined>()
  outbox.add('call.1', [() => answer.promise])
  expect(await outbox.isSettled('call.1')).toBe(false)
  answer.resolve(undefined)
  await outbox.close()
  expect(await outbox.isSettled('call.1')).toBe(true)
})

test('a shutdown waits for what is under way, and reports what it gives up', async () => {
  const report = vi.fn(nothing)
  const outbox = new Outbox(report)
  const late = vi.fn(async () => undefined)
  late.mockRejectedValueOnce(new Error('away'))
  outbox.add('late.1', [late])
  outbox.add('never.1', [() => Promise.reject(new Error('gone'))])
  await outbox.close()
  expect(late).toHaveBeenCalledTimes(2)
  expect(report.mock.calls).toEqual([[expect.objectContaining({ message: 'gone' })]])
})

test('nothing to give back is nothing to wait for', async () => {
  const outbox = new Outbox(nothing)
  outbox.add('call.1', [])
  expect(await outbox.isSettled('call.1')).toBe(true)
  await outbox.close()
})
