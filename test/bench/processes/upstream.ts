/**
 * The provider of the bench: answers every chat call with the same completion, or, when asked for a stream, with a
 * hundred chunks of it. It reads no more of a request than it must, so that it is never what is measured.
 */
import { createServer } from 'node:http'
import type { ServerResponse } from 'node:http'
import { announce } from '../announce.ts'
import { ANSWER, CHUNK, CHUNKS, STREAM_END, STREAM_USAGE } from '../canned.ts'

const STREAMED = Buffer.from('"stream":true')
const WANTS_USAGE = Buffer.from('include_usage')

const server = createServer((request, response) => {
  const parts: Buffer[] = []
  request.on('data', (part: Buffer) => parts.push(part))
  request.on('end', () => {
    const body = Buffer.concat(parts)
    if (body.indexOf(STREAMED) !== -1) stream(response, body.indexOf(WANTS_USAGE) !== -1)
    else response.writeHead(200, { 'content-type': 'application/json', 'content-length': ANSWER.length }).end(ANSWER)
  })
})

/** One chunk a turn of the event loop: each reaches the socket by itself, as a model's tokens do. */
function stream(response: ServerResponse, usage: boolean): void {
  response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-cache' })
  let left = CHUNKS
  const next = () => {
    if (response.destroyed) return
    if (left === 0) {
      response.end(usage ? STREAM_USAGE + STREAM_END : STREAM_END)
      return
    }
    left -= 1
    response.write(CHUNK)
    setImmediate(next)
  }
  next()
}

// The gateway under load keeps its connections; the server must not be the one to close them.
server.keepAliveTimeout = 0
server.listen(0, '127.0.0.1', () => announce(server))
