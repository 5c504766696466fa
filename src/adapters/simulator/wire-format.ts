/**
 * How a vendor says what the simulated model answers.
 */
import type { SimulatedCall } from './simulated-call.ts'

/** One server-sent event; `token` marks those that carry a token of the answer. */
export interface Frame {
  readonly text: string
  readonly token: boolean
}

export interface WireFormat {
  /** The vendor's name for the header that carries the request's id. */
  readonly requestIdHeader: string
  error(status: number, message: string, requestId: string): string
  /** The whole answer, as JSON. */
  answer(call: SimulatedCall): string
  /** The streamed answer, event by event. */
  frames(call: SimulatedCall): Iterable<Frame>
  models(names: readonly string[]): string
}

/** When the simulated models came to be: a constant, because answers are the same every time. */
export const MODELS_CREATED_S = 1_767_225_600
