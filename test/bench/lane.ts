/**
 * One connection that makes one call after another. It speaks just enough HTTP/1.1 to see where an answer ends, because
 * a full client would cost more processor than what it measures and would make every server look equally slow.
 */
import { once } from 'node:events'
import { connect } from 'node:net'
import type { Socket } from 'node:net'
import { createAnswerReader } from './answer-reader.ts'
import type { AnswerReader } from './answer-reader.ts'

export interface CallTimes {
  readonly status: number
  /** From the request to the first byte of the answer's body. */
  readonly firstMs: number
  readonly wholeMs: number
}

/** No call of the bench takes longer, even on a busy machine; one that does is a fault of the server. */
const CALL_MS_MAX = 30_000

export class Lane implements Disposable {
  readonly #address: { readonly host: string; readonly port: number }
  readonly #request: Buffer
  /** Owned by the call in flight; replaced when the server has closed it. */
  #socket: Socket | undefined

  constructor(url: URL, request: Buffer) {
    this.#address = { host: url.hostname, port: Number(url.port) }
    this.#request = request
  }

  /** Makes one call; rejects when the connection breaks before the answer is whole. */
  async call(): Promise<CallTimes> {
    const socket = await this.#open()
    const reader = createAnswerReader()
    const startedAt = performance.now()
    return new Promise((resolve, reject) => {
      let firstAt: number | undefined
      const finish = (error?: Error) => {
        socket.removeAllListeners()
        socket.on('error', () => this.#drop(socket)).on('close', () => this.#drop(socket))
        if (error !== undefined) this.#drop(socket)
        const now = performance.now()
        if (error === undefined) {
          resolve({ status: reader.status(), firstMs: (firstAt ?? now) - startedAt, wholeMs: now - startedAt })
        } else reject(error)
      }
      socket.on('data', (bytes: Buffer) => {
        const state = step(reader, bytes)
        if (state instanceof Error) return finish(state)
        if (firstAt === undefined && state !== 'head') firstAt = performance.now()
        if (state === 'whole') finish()
      })
      socket.on('error', finish)
      socket.on('close', () => finish(new Error('the connection was closed before the answer was whole')))
      socket.on('timeout', () => finish(new Error(`no byte for ${CALL_MS_MAX} ms`)))
      socket.write(this.#request)
    })
  }

  async #open(): Promise<Socket> {
    if (this.#socket !== undefined && !this.#socket.destroyed) return this.#socket
    const socket = connect({ ...this.#address, noDelay: true, timeout: CALL_MS_MAX })
    await once(socket, 'connect')
    this.#socket = socket
    return socket
  }

  #drop(socket: Socket): void {
    socket.destroy()
    if (this.#socket === socket) this.#socket = undefined
  }

  [Symbol.dispose](): void {
    this.#socket?.destroy()
  }
}

function step(reader: AnswerReader, bytes: Buffer): ReturnType<AnswerReader['push']> | Error {
  try {
    return reader.push(bytes)
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error))
  }
}
