/**
 * The bytes of an answer as they come, with back-pressure: reading stops at the socket while the consumer is behind.
 */
import type { Dispatcher } from 'undici'

/** Bytes that may wait for the consumer before the socket is paused: a few reads, small beside 10,000 open streams. */
const QUEUED_BYTES_MAX = 128 * 1024

type Read = IteratorResult<Uint8Array, undefined>

/** What became of the answer; owned by the handler of the exchange, which alone calls `push`, `finish` and `fail`. */
export class ReplyBody implements AsyncIterable<Uint8Array> {
  readonly #controller: Dispatcher.DispatchController
  /** Came before it was asked for, oldest first. */
  readonly #queue: Uint8Array[] = []
  #queuedBytes = 0
  #state: 'open' | 'finished' | { readonly failure: Error } = 'open'
  /** The one consumer, when it waits for more; then nothing is queued. */
  #reader: { readonly resolve: (read: Read) => void; readonly reject: (failure: Error) => void } | undefined

  constructor(controller: Dispatcher.DispatchController) {
    this.#controller = controller
  }

  push(chunk: Uint8Array): void {
    const reader = this.#reader
    if (reader !== undefined) {
      this.#reader = undefined
      reader.resolve({ done: false, value: chunk })
      return
    }
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes > QUEUED_BYTES_MAX && !this.#controller.paused) this.#controller.pause()
  }

  finish(): void {
    if (this.#state === 'open') this.#state = 'finished'
    this.#reader?.resolve({ done: true, value: undefined })
    this.#reader = undefined
  }

  /** What was queued is still delivered before the failure: it was received. */
  fail(failure: Error): void {
    if (this.#state === 'open') this.#state = { failure }
    this.#reader?.reject(failure)
    this.#reader = undefined
  }

  /** Closes the connection of an answer that nobody will read. */
  discard(): void {
    if (this.#state === 'open') this.#controller.abort(new Error('the answer was left unread'))
  }

  /** An iterator by hand: a generator's turns cost more than the chunks of a stream that pass through it. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array, undefined> {
    return {
      next: () => this.#next(),
      // A consumer that leaves early ends the answer: nobody would read the rest.
      return: () => {
        this.discard()
        return Promise.resolve({ done: true, value: undefined })
      },
    }
  }

  #next(): Promise<Read> {
    const chunk = this.#queue.shift()
    if (chunk !== undefined) {
      this.#queuedBytes -= chunk.length
      if (this.#queue.length === 0 && this.#state === 'open' && this.#controller.paused) this.#controller.resume()
      return Promise.resolve({ done: false, value: chunk })
    }
    if (this.#state === 'finished') return Promise.resolve({ done: true, value: undefined })
    if (this.#state !== 'open') return Promise.reject(this.#state.failure)
    return new Promise((resolve, reject) => {
      this.#reader = { resolve, reject }
    })
  }
}
