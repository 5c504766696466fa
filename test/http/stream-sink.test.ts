import { once } from 'node:events'
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { afterEach, expect, it } from 'vitest'
import { createStreamSink } from '../../src/http/stream-sink.ts'

/** Long for a machine, short for a test. */
const STALL_MS = 200

/** More than the buffers between two sockets take. */
const CHUNK = Buffer.alloc(4 * 1024 * 1024, 'x')

const opened: Disposable[] = []
afterEach(() => {
  for (const one of opened.splice(0)) one[Symbol.dispose]()
})

/** A client that asks and then reads nothing until it is told to, and the answer it would get. */
async function pausedClient(): Promise<{ readonly client: Socket; readonly response: ServerResponse }> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (address === null || typeof address === 'string') throw new Error('no port was bound')
  const client = connect(address.port, '127.0.0.1').on('error', () => undefined)
  opened.push({
    [Symbol.dispose]() {
      client.destroy()
      server.close()
      server.closeAllConnections()
    },
  })
  client.pause()
  client.write('GET / HTTP/1.1\r\nhost: test\r\n\r\n')
  const response = await new Promise<ServerResponse>((resolve) => {
    server.once('request', (_, answer) => resolve(answer))
  })
  return { client, response }
}

it('a client that reads nothing is taken for gone: the stream goes on to its end without it', async () => {
  const { response } = await pausedClient()
  const sink = createStreamSink(response, ': alive\n\n', STALL_MS)
  expect(sink.write(CHUNK)).toBe(false)
  await sink.drained()
  expect(response.destroyed).toBe(true)
  expect(sink.write(CHUNK)).toBe(true)
  await sink.drained()
})

it('a client that reads again in time gets everything', async () => {
  const { client, response } = await pausedClient()
  const sink = createStreamSink(response, ': alive\n\n')
  expect(sink.write(CHUNK)).toBe(false)
  let received = 0
  client.on('data', (bytes: Buffer) => (received += bytes.length))
  client.resume()
  await sink.drained()
  const closed = once(client, 'close')
  sink.abort()
  await closed
  expect(received).toBeGreaterThanOrEqual(CHUNK.length)
})

it('an answer that is whole but not read does not keep its connection for ever', async () => {
  for (const finish of ['end', 'abort'] as const) {
    const { response } = await pausedClient()
    const sink = createStreamSink(response, ': alive\n\n', STALL_MS)
    sink.write(CHUNK)
    const closed = once(response, 'close')
    sink[finish]()
    await closed
    expect(response.destroyed).toBe(true)
  }
})
