/**
 * Cuts a byte stream into server-sent events (WHATWG HTML, section 9.2) without changing a byte.
 *
 * What comes out ends at the end of an event, whatever the chunks were: a keep-alive or an error frame may follow
 * anywhere. A client cannot use half an event, so nothing is delayed by it. Lines end in LF or CRLF; a lone CR, which no
 * provider sends, does not end one.
 */
import { asBuffer } from './json-value.ts'

/** An event larger than this is passed on unread: it bounds the memory of a stream. */
export const EVENT_BYTES_MAX = 8 * 1024 * 1024

const LF = 0x0a
const CR = 0x0d

const NOTHING: Uint8Array = new Uint8Array(0)

/** Answers what to pass on for one event: the event itself, other bytes, or none. */
export type EventHandler = (event: Buffer) => Uint8Array

export class SseEvents {
  readonly #onEvent: EventHandler
  /** Bytes of an event that is not complete yet. */
  #held: Buffer[] = []
  #heldBytes = 0
  /** Whether the next byte begins a line, and whether that line so far is a lone CR. */
  #line: 'middle' | 'start' | 'start_cr' = 'start'
  /** Whether the current event has passed its bound and is being passed on unread. */
  #oversize = false

  constructor(onEvent: EventHandler) {
    this.#onEvent = onEvent
  }

  push(chunk: Uint8Array): Uint8Array {
    const bytes = asBuffer(chunk)
    const end = this.#eventEnd(bytes, 0)
    // The ordinary case: one chunk is one event.
    if (end === bytes.length && this.#heldBytes === 0) {
      const passed = this.#decide(bytes)
      return passed === bytes ? chunk : passed
    }
    return this.#several(chunk, bytes, end)
  }

  #several(chunk: Uint8Array, bytes: Buffer, firstEnd: number): Uint8Array {
    const out: Uint8Array[] = []
    let unchanged = this.#heldBytes === 0
    let from = 0
    for (let end = firstEnd; end >= 0; end = this.#eventEnd(bytes, from)) {
      const event = this.#take(bytes.subarray(from, end))
      const passed = this.#decide(event)
      unchanged &&= passed === event
      if (passed.length > 0) out.push(passed)
      from = end
    }
    if (from === bytes.length && unchanged) return chunk
    this.#hold(bytes.subarray(from), out)
    return join(out)
  }

  /** The event that was not terminated when the stream ended: clients read it, so it is read here too. */
  end(): Uint8Array {
    if (this.#heldBytes === 0) return NOTHING
    return this.#decide(this.#take(Buffer.alloc(0)))
  }

  /** Offset after the blank line that ends the current event, or -1 when it is not in these bytes. */
  #eventEnd(bytes: Buffer, from: number): number {
    let at = from
    while (at < bytes.length) {
      if (this.#line === 'middle') {
        const feed = bytes.indexOf(LF, at)
        if (feed < 0) return -1
        this.#line = 'start'
        at = feed + 1
      } else if (bytes[at] === LF) {
        this.#line = 'start'
        return at + 1
      } else {
        this.#line = bytes[at] === CR && this.#line === 'start' ? 'start_cr' : 'middle'
        at += 1
      }
    }
    return -1
  }

  #take(rest: Buffer): Buffer {
    if (this.#heldBytes === 0) return rest
    const event = Buffer.concat([...this.#held, rest])
    this.#held = []
    this.#heldBytes = 0
    return event
  }

  #decide(event: Buffer): Uint8Array {
    if (!this.#oversize) return this.#onEvent(event)
    this.#oversize = false
    return event
  }

  #hold(rest: Buffer, out: Uint8Array[]): void {
    if (rest.length === 0) return
    this.#held.push(rest)
    this.#heldBytes += rest.length
    if (this.#oversize || this.#heldBytes > EVENT_BYTES_MAX) {
      this.#oversize = true
      out.push(this.#take(Buffer.alloc(0)))
    }
  }
}

function join(pieces: readonly Uint8Array[]): Uint8Array {
  const [first = NOTHING] = pieces
  return pieces.length <= 1 ? first : Buffer.concat(pieces)
}

/** What an event says. */
export interface EventFields {
  /** The `event:` name, undefined when it has none. */
  readonly name: string | undefined
  /** Offsets of the data within the event; undefined when it has none, or has it on several lines. */
  readonly dataAt: { readonly start: number; readonly end: number } | undefined
  /** The data of an event that has it on several lines, joined as the standard says. */
  readonly joined: string | undefined
}

const NO_FIELDS: EventFields = { name: undefined, dataAt: undefined, joined: undefined }

/** Most lines of one event that are read; real ones have one to three. */
const EVENT_LINES_MAX = 4096

/** Reads the `event` and `data` lines; comments, `id`, `retry` and unknown fields are none of the gateway's business. */
export function fieldsOf(event: Buffer): EventFields {
  let name: string | undefined
  const data: { start: number; end: number }[] = []
  let at = 0
  for (let lines = 0; at < event.length && lines < EVENT_LINES_MAX; lines += 1) {
    const feed = event.indexOf(LF, at)
    const next = feed < 0 ? event.length : feed + 1
    let end = feed < 0 ? event.length : feed
    if (end > at && event[end - 1] === CR) end -= 1
    if (hasField(event, at, 'data:')) data.push({ start: valueStart(event, at + 5), end })
    else if (hasField(event, at, 'event:')) name = event.toString('utf8', valueStart(event, at + 6), end)
    at = next
  }
  const [first] = data
  if (first === undefined) return name === undefined ? NO_FIELDS : { name, dataAt: undefined, joined: undefined }
  if (data.length === 1) return { name, dataAt: first, joined: undefined }
  const joined = data.map(({ start, end }) => event.toString('utf8', start, end)).join('\n')
  return { name, dataAt: undefined, joined }
}

function hasField(event: Buffer, at: number, field: string): boolean {
  for (let index = 0; index < field.length; index += 1) {
    if (event[at + index] !== field.charCodeAt(index)) return false
  }
  return true
}

/** One space after the colon belongs to the framing. */
function valueStart(event: Buffer, at: number): number {
  return event[at] === 0x20 ? at + 1 : at
}
