/**
 * Follows the stream of a message. Nothing is stripped: every stream of this format reports usage. `message_start` has
 * the input and how it was served; `message_delta` is cumulative and replaces what it names, field by field.
 */
import type { StreamReader, StreamSummary } from '../domain/dialect.ts'
import { isObject, parseJson } from './json-value.ts'
import type { JsonObject } from './json-value.ts'
import { OutputText, collectOutput } from './output-text.ts'
import { SseEvents, fieldsOf } from './sse-events.ts'
import type { EventFields } from './sse-events.ts'
import { messageUsage } from './anthropic-usage.ts'

const DELTA = Buffer.from('"delta":')
const BLOCK = Buffer.from('"content_block":')
const BLOCK_DELTA = Buffer.from('event: content_block_delta')

export class MessageStream implements StreamReader {
  readonly #events = new SseEvents((event) => this.#event(event))
  readonly #output = new OutputText()
  /** Usage as merged so far; undefined until the first event that has any. */
  #usage: Record<string, unknown> | undefined
  #model: unknown
  #complete = false
  #failed = false
  #outputEvents = 0

  push(chunk: Uint8Array): Uint8Array {
    return this.#events.push(chunk)
  }

  end(): Uint8Array {
    return this.#events.end()
  }

  summary(): StreamSummary {
    return {
      usage: messageUsage(this.#usage, this.#model),
      complete: this.#complete,
      failed: this.#failed,
      outputEvents: this.#outputEvents,
    }
  }

  outputTexts(): readonly string[] {
    return this.#output.texts()
  }

  outputBytesBeyond(): number {
    return this.#output.bytesBeyond()
  }

  #event(event: Buffer): Buffer {
    if (startsWith(event, BLOCK_DELTA)) {
      this.#collect(event, DELTA)
      return event
    }
    const fields = fieldsOf(event)
    const data = dataOf(event, fields)
    if (data !== undefined) this.#named(fields.name ?? typeOf(data), data, event)
    return event
  }

  #named(name: string | undefined, data: string, event: Buffer): void {
    switch (name) {
      case 'content_block_delta':
        this.#collect(event, DELTA)
        break
      case 'content_block_start':
        this.#collect(event, BLOCK)
        break
      case 'message_start':
        this.#started(parseJson(data))
        break
      case 'message_delta':
        this.#merge(member(parseJson(data), 'usage'))
        break
      case 'message_stop':
        this.#complete = true
        break
      case 'error':
        this.#failed = true
        break
      case undefined:
      default:
        // Pings and events of later versions pass unread.
        break
    }
  }

  #started(value: unknown): void {
    const message = member(value, 'message')
    this.#model = message?.['model']
    this.#merge(member(message, 'usage'))
  }

  #merge(usage: JsonObject | undefined): void {
    if (usage === undefined) return
    const reported = Object.entries(usage).filter(([, value]) => value !== null)
    this.#usage = { ...this.#usage, ...Object.fromEntries(reported) }
  }

  #collect(event: Buffer, region: Buffer): void {
    const at = event.indexOf(region)
    if (at < 0) return
    const before = this.#output.bytesSeen
    collectOutput(event, at + region.length, this.#output)
    if (this.#output.bytesSeen > before) this.#outputEvents += 1
  }
}

function startsWith(event: Buffer, head: Buffer): boolean {
  const after = event[head.length]
  return (
    (after === 0x0a || after === 0x0d) &&
    event.length > head.length &&
    event.compare(head, 0, head.length, 0, head.length) === 0
  )
}

function dataOf(event: Buffer, { dataAt, joined }: EventFields): string | undefined {
  return joined ?? (dataAt && event.toString('utf8', dataAt.start, dataAt.end))
}

/** Some compatible servers leave the `event:` line out; the data names its type as well. */
function typeOf(data: string): string | undefined {
  const value = parseJson(data)
  const type = isObject(value) ? value['type'] : undefined
  return typeof type === 'string' ? type : undefined
}

function member(value: unknown, name: string): JsonObject | undefined {
  const inner = isObject(value) ? value[name] : undefined
  return isObject(inner) ? inner : undefined
}
