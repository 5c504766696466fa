/**
 * Writes an answer at the pace of a model: latency, tokens a second, and the faults that were asked for.
 */
import { once } from 'node:events'
import type { ServerResponse } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'

import type { SimulatedCall } from './simulated-call.ts'
import type { Frame, WireFormat } from './wire-format.ts'

export interface Delivery {
  readonly call: SimulatedCall
  readonly format: WireFormat
  readonly response: ServerResponse
  /** Aborts when the caller has gone or the simulator stops. */
  readonly signal: AbortSignal
  /** Told of each token as it is generated. */
  readonly onToken: () => void
}

/** Below this a timer would sleep too long; the next wait makes up for it. */
const WAIT_MIN_MS = 1

/** How a delivery ended. It rejects only when the signal aborts. */
export type Delivered = 'done' | 'cut'

export async function deliver(delivery: Delivery): Promise<Delivered> {
  const { call, signal } = delivery
  if (call.directives.hang) await aborted(signal)
  if (call.latencyMs > 0) await sleep(call.latencyMs, undefined, { signal })
  return call.ask.stream ? await deliverStream(delivery) : await deliverWhole(delivery)
}

/** Rejects once the signal aborts. */
async function aborted(signal: AbortSignal): Promise<void> {
  signal.throwIfAborted()
  await once(signal, 'abort')
  signal.throwIfAborted()
}

async function deliverWhole({ call, format, response, signal, onToken }: Delivery): Promise<Delivered> {
  const tokens = call.outputTokens * call.ask.choices
  if (call.tokensPerSecond > 0) await sleep((call.outputTokens * 1000) / call.tokensPerSecond, undefined, { signal })
  for (let index = 0; index < tokens; index += 1) onToken()
  const body = Buffer.from(format.answer(call))
  response.writeHead(200, { 'content-type': 'application/json', 'content-length': body.length })
  if (call.directives.cutAfter === undefined) {
    response.end(body)
    return 'done'
  }
  await write(response, body.subarray(0, Math.floor(body.length / 2)))
  response.destroy()
  return 'cut'
}

async function deliverStream({ call, format, response, signal, onToken }: Delivery): Promise<Delivered> {
  response.writeHead(200, { 'content-type': 'text/event-stream; charset=utf-8', 'cache-control': 'no-cache' })
  const pace = pacer(call.tokensPerSecond, signal)
  let tokens = 0
  for (const frame of format.frames(call)) {
    if (cutsAt(call, frame, tokens)) {
      // A last write with a callback: what was sent before the cut has left the process.
      await write(response, ': cut\n')
      response.destroy()
      return 'cut'
    }
    if (frame.token) {
      await pace(tokens)
      tokens += 1
      onToken()
    }
    if (!response.write(frame.text)) await once(response, 'drain', { signal })
  }
  response.end()
  return 'done'
}

function cutsAt(call: SimulatedCall, frame: Frame, tokens: number): boolean {
  const { cutAfter } = call.directives
  return cutAfter !== undefined && tokens >= cutAfter && (frame.token || tokens >= call.outputTokens)
}

/** Waits until the given token is due; tokens that are late already are not waited for. */
function pacer(tokensPerSecond: number, signal: AbortSignal): (index: number) => Promise<void> {
  const startedMs = performance.now()
  return async (index) => {
    signal.throwIfAborted()
    if (tokensPerSecond === 0) return
    const waitMs = startedMs + ((index + 1) * 1000) / tokensPerSecond - performance.now()
    if (waitMs >= WAIT_MIN_MS) await sleep(waitMs, undefined, { signal })
  }
}

function write(response: ServerResponse, bytes: string | Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    response.write(bytes, () => resolve())
  })
}
