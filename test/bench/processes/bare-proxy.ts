/**
 * The least a proxy in Node can do, and what every figure is compared with: node:http in front, undici behind, bytes
 * carried unread. It enforces nothing, records nothing and knows nobody. Plain listeners carry the bytes, because they
 * cost a third less than iterators and pipes, and a slow yardstick would flatter what is measured by it.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Pool } from 'undici'
import { announce } from '../announce.ts'

const [upstream] = process.argv.slice(2)
if (upstream === undefined) throw new Error('pass the address of the upstream')
const pool = new Pool(upstream, { pipelining: 1 })

async function forward(request: IncomingMessage, response: ServerResponse, asked: Buffer): Promise<void> {
  const { statusCode, headers, body } = await pool.request({
    method: 'POST',
    path: request.url ?? '/',
    headers: { 'content-type': 'application/json', authorization: request.headers.authorization ?? '' },
    body: asked,
  })
  const { connection: _connection, 'keep-alive': _keepAlive, ...relayed } = headers
  response.writeHead(statusCode, relayed)
  response.on('drain', () => body.resume())
  response.on('close', () => body.destroy())
  body.on('data', (part: Buffer) => {
    if (!response.write(part)) body.pause()
  })
  body.on('end', () => response.end())
  body.on('error', () => response.destroy())
}

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    forward(request, response, Buffer.concat(parts)).catch(() => response.destroy())
  })
})
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => announce(server))
