/**
 * One request and its answer over an undici dispatcher. Knows, truthfully, whether the request reached a connection.
 */
import type { Dispatcher } from 'undici'

import type { UpstreamFailure } from '../../domain/failures.ts'
import { ReplyBody } from './reply-body.ts'
import type { RequestHead } from './request-head.ts'
import { toUpstreamFailure } from './upstream-failure.ts'

export interface UpstreamTimeouts {
  /** Until status and headers: models may think this long before the first byte. The SDKs wait as long. */
  readonly headersMs: number
  /** Between two pieces of the body. */
  readonly bodyMs: number
}

/** The official SDKs wait ten minutes; a shorter wait here would turn their long calls into errors. */
export const UPSTREAM_TIMEOUTS: UpstreamTimeouts = { headersMs: 600_000, bodyMs: 600_000 }

export interface ExchangeRequest {
  readonly upstream: string
  readonly dispatcher: Dispatcher
  readonly head: RequestHead
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
  readonly timeouts: UpstreamTimeouts
  readonly signal: AbortSignal
}

export interface ExchangeReply {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: ReplyBody
}

export function exchange(request: ExchangeRequest): Promise<ExchangeReply> {
  const { promise, resolve, reject } = Promise.withResolvers<ExchangeReply>()
  const handler = new Handler(request, { resolve, reject })
  handler.dispatch()
  return promise
}

interface Outcome {
  readonly resolve: (reply: ExchangeReply) => void
  readonly reject: (failure: UpstreamFailure) => void
}

class Handler implements Dispatcher.DispatchHandler {
  readonly #request: ExchangeRequest
  readonly #outcome: Outcome
  readonly #onAbort = () => this.#abort()
  #controller: Dispatcher.DispatchController | undefined
  #body: ReplyBody | undefined

  constructor(request: ExchangeRequest, outcome: Outcome) {
    this.#request = request
    this.#outcome = outcome
  }

  dispatch(): void {
    const { dispatcher, head, headers, body, timeouts, signal } = this.#request
    if (signal.aborted) {
      this.#fail(undefined)
      return
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
    try {
      dispatcher.dispatch(
        {
          origin: head.origin,
          path: head.path,
          method: 'POST',
          headers: { ...head.headers, ...headers },
          body,
          headersTimeout: timeouts.headersMs,
          bodyTimeout: timeouts.bodyMs,
        },
        this,
      )
    } catch (error) {
      this.#fail(error)
    }
  }

  /** Called when a connection takes the request, just before its first byte is written. */
  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#request.signal.aborted) {
      controller.abort(new Error('aborted before it was sent'))
      return
    }
    this.#controller = controller
  }

  onResponseStart(
    controller: Dispatcher.DispatchController,
    status: number,
    headers: Record<string, string | string[] | undefined>,
  ): void {
    // Interim answers (1xx) only announce the real one.
    if (status < 200) return
    const body = new ReplyBody(controller)
    this.#body = body
    this.#outcome.resolve({ status, headers, body })
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#body?.push(chunk)
  }

  onResponseEnd(): void {
    this.#release()
    this.#body?.finish()
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.#fail(error)
  }

  #abort(): void {
    this.#fail(undefined)
    this.#controller?.abort(new Error('aborted by the gateway'))
  }

  #fail(error: unknown): void {
    this.#release()
    const { upstream, signal } = this.#request
    const failure = toUpstreamFailure(error, { upstream, sent: this.#controller !== undefined, signal })
    this.#outcome.reject(failure)
    this.#body?.fail(failure)
  }

  #release(): void {
    this.#request.signal.removeEventListener('abort', this.#onAbort)
  }
}
