import type { ServerResponse } from 'node:http'
import type { Sink } from '../ports.ts'

/** Silence after which a stream is kept alive: balancers close idle connections after a minute, some clients sooner. */
const KEEP_ALIVE_AFTER_MS = 15_000

/**
 * A client that has read nothing for this long, with its buffers full, has left without saying so: nobody reads an answer
 * in pauses of a minute, and every call that waits for its reader holds budget, memory and an upstream connection.
 */
const STALL_MS_MAX = 60_000

/**
 * The caller's connection as a place to stream to; after the caller has gone it takes and drops everything. What is
 * written always ends with a whole event, so `keepAlive` can stand between any two writes.
 */
export function createStreamSink(response: ServerResponse, keepAlive: string, stallMs = STALL_MS_MAX): Sink {
  const gone = () => response.destroyed || response.writableEnded
  const idle = setInterval(() => {
    if (!gone()) response.write(keepAlive)
  }, KEEP_ALIVE_AFTER_MS)
  response.on('close', () => clearInterval(idle))
  return {
    write(chunk) {
      idle.refresh()
      return gone() ? true : response.write(chunk)
    },
    drained() {
      return gone() ? Promise.resolve() : untilRead(response, stallMs)
    },
    end() {
      if (gone()) return
      response.end()
      destroyWhenStalled(response, stallMs)
    },
    abort() {
      // Destroying at once could discard the error frame that was just written: let it reach the socket first.
      if (gone()) return
      response.write('', () => response.destroy())
      destroyWhenStalled(response, stallMs)
    },
  }
}

/** Resolves when the client has read, has left, or has stalled and is taken for gone. */
function untilRead(response: ServerResponse, stallMs: number): Promise<void> {
  return new Promise((resolve) => {
    const stalled = setTimeout(() => response.destroy(), stallMs)
    const done = () => {
      clearTimeout(stalled)
      response.off('drain', done)
      response.off('close', done)
      resolve()
    }
    response.on('drain', done)
    response.on('close', done)
  })
}

/** What is left to send is sent within a bound: the call is over, but its connection and its buffers are not. */
function destroyWhenStalled(response: ServerResponse, stallMs: number): void {
  const stalled = setTimeout(() => response.destroy(), stallMs)
  stalled.unref()
  const over = () => clearTimeout(stalled)
  response.on('finish', over)
  response.on('close', over)
}
