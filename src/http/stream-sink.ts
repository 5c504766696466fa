import type { ServerResponse } from 'node:http'
import type { Sink } from '../ports.ts'

/** The caller's connection as a place to stream to; after the caller has gone it takes and drops everything. */
export function createStreamSink(response: ServerResponse): Sink {
  const gone = () => response.destroyed || response.writableEnded
  return {
    write(chunk) {
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
