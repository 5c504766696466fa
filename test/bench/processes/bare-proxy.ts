/**
 * The least a proxy in Node can do, and what every figure is compared with: node:http in front, undici behind, bytes
 * carried unread. It enforces nothing, records nothing and knows nobody.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Pool } from 'undici'
import { announce } from '../announce.ts'

const [upstream] = process.argv.slice(2)
if (upstream === undefined) throw new Error('pass the address of the upstream')
const pool = new Pool(upstream, { pipelining: 1 })

async function forward(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const parts: Buffer[] = []
  for await (const part of request) parts.push(part)
  const { statusCode, headers, body } = await pool.request({
    method: 'POST',
    path: request.url ?? '/',
    headers: { 'content-type': 'application/json', authorization: request.headers.authorization ?? '' },
    body: Buffer.concat(parts),
  })
  const { connection: _connection, 'keep-alive': _keepAlive, ...relayed } = headers
  response.writeHead(statusCode, relayed)
  body.pipe(response)
}

const server = createServer((request, response) => {
  forward(request, response).catch((error: unknown) => response.destroy(error instanceof Error ? error : undefined))
})
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => announce(server))
