import type { ServerResponse } from 'node:http'
import type { Sink } from '../ports.ts'

/** Silence after which a stream is kept alive: balancers close idle connections after a minute, some clients sooner. */
const KEEP_ALIVE_AFTER_MS = 15_000

/**
 * The caller's connection as a place to stream to; after the caller has gone it takes and drops everything. What is
 * written always ends with a whole event, so `keepAlive` can stand between any two writes.
 */
export function createStreamSink(response: ServerResponse, keepAlive: string): Sink {
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
      if (gone()) return Promise.resolve()
      return new Promise((resolve) => {
        const done = () => {
          response.off('drain', done)
          response.off('close', done)
          resolve()
        }
        response.on('drain', done)
        response.on('close', done)
      })
    },
    end() {
      if (!gone()) response.end()
    },
    abort() {
      // Destroying at once could discard the error frame that was just written: let it reach the socket first.
      if (!gone()) response.write('', () => response.destroy())
    },
  }
}
