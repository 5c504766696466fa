/**
 * A store that is slow, away or broken: every call still ends within a bound, with one kind of error.
 */
import { once } from 'node:events'
import { createServer } from 'node:net'
import type { Socket } from 'node:net'
import { inspect } from 'node:util'

import { expect, test, vi } from 'vitest'

import { createRedisLedger } from '../../../../src/adapters/redis/ledger.ts'
import { asks, hold, lifetime, take } from '../../../contract/ledger-fixtures.ts'
import { startRedis } from '../../../support/redis-server.ts'

const UNAVAILABLE = { name: 'LedgerUnavailable' }

test('a Redis that stops answering ends each call at the timeout, then at once', async () => {
  await using server = await startRedis()
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 50 })
  await ledger.ping()
  process.kill(server.pid, 'SIGSTOP')
  const started = performance.now()
  for (let call = 0; call < 5; call += 1) {
    await expect(ledger.reserve(asks([take(lifetime(10))]))).rejects.toMatchObject(UNAVAILABLE)
  }
  expect(performance.now() - started).toBeLessThan(1_000)
  await expect(ledger.ping()).rejects.toThrow('did not answer lately')
  process.kill(server.pid, 'SIGCONT')
  await vi.waitUntil(
    async () =>
      ledger.ping().then(
        () => true,
        () => false,
      ),
    { timeout: 10_000 },
  )
  expect(await ledger.reserve(asks([take(lifetime(10))]))).toMatchObject({ kind: 'held' })
})

test('an answer that waits in the socket while the event loop is busy is not late', async () => {
  await using server = await startRedis()
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 50 })
  await ledger.ping()
  const calls = Array.from({ length: 8 }, () => ledger.reserve(asks([take(lifetime(100))])))
  // The commands are on their way before the loop is held up; microtasks run, reads do not.
  for (let turn = 0; turn < 20; turn += 1) await Promise.resolve()
  const until = performance.now() + 200
  while (performance.now() < until);
  expect(await Promise.all(calls)).toMatchObject(calls.map(() => ({ kind: 'held' })))
})

test('a Redis that dies and comes back is used again', async () => {
  await using first = await startRedis()
  await using ledger = createRedisLedger({ url: first.url, commandTimeoutMs: 200 })
  await hold(ledger, [take(lifetime(10))])
  await first.stop()
  await expect(ledger.ping()).rejects.toMatchObject(UNAVAILABLE)
  await using second = await startRedis({ port: first.port })
  await vi.waitUntil(
    async () =>
      ledger.ping().then(
        () => true,
        () => false,
      ),
    { timeout: 10_000 },
  )
  expect(second.port).toBe(first.port)
  expect(await ledger.reserve(asks([take(lifetime(10))]))).toMatchObject({ kind: 'held' })
})

test('a connection that breaks under way gives one answer or one error, and charges once', async () => {
  await using server = await startRedis()
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 1_000 })
  await using other = createRedisLedger({ url: server.url })
  await ledger.ping()
  const request = asks([take(lifetime(10), 3)])
  const outcome = ledger.reserve(request).catch((error: unknown) => error)
  process.kill(server.pid, 'SIGSTOP')
  process.kill(server.pid, 'SIGCONT')
  await outcome
  await vi.waitUntil(
    async () =>
      other.find(request.id).then(
        (found) => found !== undefined,
        () => false,
      ),
    { timeout: 10_000 },
  )
  expect(await other.balances([lifetime(10)])).toMatchObject([{ held: 3 }])
})

test('nobody at the address is an error within the connect bound, with the reason', async () => {
  const taken = createServer().listen(0, '127.0.0.1')
  await once(taken, 'listening')
  const address = taken.address()
  const port = typeof address === 'object' ? address?.port : undefined
  taken.close()
  await using ledger = createRedisLedger({ url: `redis://127.0.0.1:${port}` })
  const started = performance.now()
  await expect(ledger.ping()).rejects.toThrow('ECONNREFUSED')
  expect(performance.now() - started).toBeLessThan(3_000)
})

test('a server that takes the connection and says nothing is an error within the connect bound', async () => {
  const sockets: Socket[] = []
  const mute = createServer((socket) => void sockets.push(socket)).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const address = mute.address()
  const port = typeof address === 'object' ? address?.port : undefined
  await using ledger = createRedisLedger({ url: `redis://127.0.0.1:${port}` })
  const started = performance.now()
  await expect(ledger.ping()).rejects.toMatchObject(UNAVAILABLE)
  expect(performance.now() - started).toBeLessThan(3_000)
  for (const socket of sockets) socket.destroy()
  mute.close()
})

test('an error of Redis itself is told without the command, and does not stop other calls', async () => {
  await using server = await startRedis({ args: ['--requirepass', 'correct-horse'] })
  await using wrong = createRedisLedger({ url: `redis://:battery-staple@127.0.0.1:${server.port}` })
  const error: unknown = await wrong.ping().catch((reason: unknown) => reason)
  expect(error).toMatchObject(UNAVAILABLE)
  const told = inspect(error, { depth: 10, showHidden: true })
  expect(told).not.toContain('battery-staple')
  await using right = createRedisLedger({ url: `redis://:correct-horse@127.0.0.1:${server.port}` })
  await right.ping()
})

test.each(['http://host', 'redis:', 'localhost:6379', ''])('the url %j is a clear error', (url) => {
  expect(() => createRedisLedger({ url })).toThrow('ledger.url')
})

test('a closed ledger rejects at once', async () => {
  await using server = await startRedis()
  const ledger = createRedisLedger({ url: server.url })
  await ledger.ping()
  await ledger[Symbol.asyncDispose]()
  await expect(ledger.ping()).rejects.toMatchObject(UNAVAILABLE)
})
