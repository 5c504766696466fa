/**
 * The bytes of an answer as they come, with back-pressure: reading stops at the socket while the consumer is behind.
 */
import type { Dispatcher } from 'undici'

/** Bytes that may wait for the consumer before the socket is paused: a few reads, small beside 10,000 open streams. */
const QUEUED_BYTES_MAX = 128 * 1024

/** What became of the answer; owned by the handler of the exchange, which alone calls `push`, `finish` and `fail`. */
export class ReplyBody implements AsyncIterable<Uint8Array> {
  readonly #controller: Dispatcher.DispatchController
  #queue: Uint8Array[] = []
  #queuedBytes = 0
  #state: 'open' | 'finished' | { readonly failure: Error } = 'open'
  /** Wakes the one consumer that waits for more. */
  #wake: (() => void) | undefined

  constructor(controller: Dispatcher.DispatchController) {
    this.#controller = controller
  }

  push(chunk: Uint8Array): void {
    this.#queue.push(chunk)
    this.#queuedBytes += chunk.length
    if (this.#queuedBytes > QUEUED_BYTES_MAX && !this.#controller.paused) this.#controller.pause()
    this.#wake?.()
  }

  finish(): void {
    if (this.#state === 'open') this.#state = 'finished'
    this.#wake?.()
  }

  /** What was queued is still delivered before the failure: it was received. */
  fail(failure: Error): void {
    if (this.#state === 'open') this.#state = { failure }
    this.#wake?.()
  }

  /** Closes the connection of an answer that nobody will read. */
  discard(): void {
    if (this.#state === 'open') this.#controller.abort(new Error('the answer was left unread'))
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array, void> {
    try {
      for (;;) {
        for (const chunk of this.#take()) yield chunk
        if (this.#queue.length > 0) continue
        if (this.#state === 'finished') return
        if (this.#state !== 'open') throw this.#state.failure
        await new Promise<void>((resolve) => {
          this.#wake = resolve
        })
        this.#wake = undefined
      }
    } finally {
      // A consumer that leaves early ends the answer: nobody would read the rest.
      this.discard()
    }
  }

  #take(): readonly Uint8Array[] {
    const taken = this.#queue
    this.#queue = []
    this.#queuedBytes = 0
    if (this.#state === 'open' && this.#controller.paused) this.#controller.resume()
    return taken
  }
}
