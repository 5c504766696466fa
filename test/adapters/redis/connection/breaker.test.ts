import { expect, test } from 'vitest'

import { createBreaker } from '../../../../src/adapters/redis/connection/breaker.ts'

function open() {
  const clock = { nowMs: 10_000 }
  return { clock, breaker: createBreaker(() => clock.nowMs) }
}

function fail(breaker: ReturnType<typeof createBreaker>, times: number) {
  for (let time = 0; time < times; time += 1) {
    breaker.admits()
    breaker.failed()
  }
}

test('five failures within a second stop all calls for a second', () => {
  const { clock, breaker } = open()
  fail(breaker, 4)
  expect(breaker.admits()).toBe(true)
  breaker.failed()
  expect(breaker.admits()).toBe(false)
  clock.nowMs += 999
  expect(breaker.admits()).toBe(false)
})

test('then one call probes, and the others wait for its fate', () => {
  const { clock, breaker } = open()
  fail(breaker, 5)
  clock.nowMs += 1_000
  expect([breaker.admits(), breaker.admits()]).toEqual([true, false])
  breaker.failed()
  expect(breaker.admits()).toBe(false)
  clock.nowMs += 1_000
  expect(breaker.admits()).toBe(true)
  breaker.succeeded()
  expect([breaker.admits(), breaker.admits()]).toEqual([true, true])
})

test('failures that are further apart do not add up', () => {
  const { clock, breaker } = open()
  for (let time = 0; time < 20; time += 1) {
    fail(breaker, 1)
    clock.nowMs += 250
  }
  expect(breaker.admits()).toBe(true)
})

test('a success forgets the failures before it', () => {
  const { breaker } = open()
  fail(breaker, 4)
  breaker.succeeded()
  fail(breaker, 4)
  expect(breaker.admits()).toBe(true)
})

test('calls that were under way when it opened do not let more than one probe out', () => {
  const { clock, breaker } = open()
  for (let call = 0; call < 10; call += 1) breaker.admits()
  for (let call = 0; call < 10; call += 1) breaker.failed()
  clock.nowMs += 1_000
  expect([breaker.admits(), breaker.admits()]).toEqual([true, false])
})
