/**
 * A provider of one's own on a loopback port: each test says what it does with a request, down to the socket.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http'

export interface SeenRequest {
  readonly method: string
  readonly path: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export type Handler = (request: SeenRequest, response: ServerResponse) => void

export interface Loopback extends AsyncDisposable {
  readonly url: string
  readonly seen: SeenRequest[]
  handle: Handler
}

export async function startLoopback(): Promise<Loopback> {
  const loopback = {
    url: '',
    seen: [] as SeenRequest[],
    handle: ((_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' }).end('{}')
    }) as Handler,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      const closed = once(server, 'close')
      server.close()
      await closed
    },
  }
  const serve = async (message: IncomingMessage, response: ServerResponse) => {
    const chunks: Buffer[] = []
    for await (const chunk of message) chunks.push(chunk as Buffer)
    const request = {
      method: message.method ?? '',
      path: message.url ?? '',
      headers: message.headers,
      body: Buffer.concat(chunks),
    }
    loopback.seen.push(request)
    loopback.handle(request, response)
  }
  const server = createServer((message, response) => void serve(message, response).catch(() => undefined))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no address')
  loopback.url = `http://127.0.0.1:${address.port}`
  return loopback
}
