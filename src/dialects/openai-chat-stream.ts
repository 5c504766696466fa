/**
 * Follows the stream of a chat completion. An ordinary chunk is searched, never parsed: parsing and re-serialising costs
 * eight times the relay. When the gateway asked for usage and the caller did not, the usage chunk is dropped and
 * `"usage":null` is cut out of the others, so that the caller sees the stream it asked for, byte for byte.
 */
import type { StreamReader, StreamSummary } from '../domain/dialect.ts'
import type { Usage } from '../domain/prices/usage.ts'
import { isJsonSpace, scanObject, stringEnd } from './json-members.ts'
import type { ScannedObject } from './json-members.ts'
import { isObject, parseJson, parseJsonBytes } from './json-value.ts'
import { OutputText, collectOutput } from './output-text.ts'
import { SseEvents, fieldsOf } from './sse-events.ts'
import { chatUsage } from './openai-usage.ts'

const USAGE = Buffer.from('"usage"')
const USAGE_NULL = Buffer.from('"usage":null')
const DELTA = Buffer.from('"delta":')
const ERROR = Buffer.from('"error"')
const DONE = '[DONE]'

const COMMA = 0x2c
const NOTHING: Uint8Array = new Uint8Array(0)

export class ChatStream implements StreamReader {
  readonly #events = new SseEvents((event) => this.#event(event))
  readonly #output = new OutputText()
  /** Whether usage was injected by the gateway and must be taken out again. */
  readonly #strip: boolean
  /** The last event's bytes up to and with its first `"delta":`; empty before there was one. */
  #head: Buffer = Buffer.alloc(0)
  #usage: Usage | undefined
  #model: unknown
  #serviceTier: unknown
  #complete = false
  #failed = false
  #outputEvents = 0

  constructor(options: { readonly strip: boolean }) {
    this.#strip = options.strip
  }

  push(chunk: Uint8Array): Uint8Array {
    return this.#events.push(chunk)
  }

  end(): Uint8Array {
    return this.#events.end()
  }

  summary(): StreamSummary {
    return {
      usage: this.#usage,
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

  #event(event: Buffer): Uint8Array {
    const before = this.#output.bytesSeen
    const usage = this.#walk(event)
    if (this.#output.bytesSeen > before) this.#outputEvents += 1
    else this.#special(event)
    if (usage < 0) return event
    if (!isTrailingNull(event, usage)) return this.#usageEvent(event)
    return this.#strip ? cut(event, usage - 1, usage + USAGE_NULL.length) : event
  }

  /** Notes the generated text of every choice; answers where the event first says `"usage"`, or -1. */
  #walk(event: Buffer): number {
    let usage = -1
    let at = this.#afterHead(event)
    if (at > 0) at = collectOutput(event, at, this.#output)
    for (let mark = nextMark(event, at); mark >= 0; mark = nextMark(event, at)) {
      if (event[mark + 1] === USAGE[1]) {
        if (usage < 0) usage = mark
        at = mark + USAGE.length
      } else {
        if (at === 0) this.#head = Buffer.from(event.subarray(0, mark + DELTA.length))
        at = collectOutput(event, mark + DELTA.length, this.#output)
      }
    }
    return usage
  }

  /** Events of one stream begin alike. A beginning that was walked before holds no mark but the delta it ends with. */
  #afterHead(event: Buffer): number {
    const head = this.#head
    if (head.length === 0 || event.length < head.length) return 0
    return head.compare(event, 0, head.length) === 0 ? head.length : 0
  }

  /** Events without output are few: the first, the last, the end, an error. */
  #special(event: Buffer): void {
    const { name, dataAt, joined } = fieldsOf(event)
    const data = joined ?? (dataAt && event.toString('utf8', dataAt.start, dataAt.end))
    if (data === undefined) return
    if (data.trim() === DONE) {
      this.#complete = true
      return
    }
    const value = parseJson(data)
    if (!isObject(value)) return
    this.#model = value['model'] ?? this.#model
    this.#serviceTier = value['service_tier'] ?? this.#serviceTier
    if (name === 'error' || (event.includes(ERROR) && value['error'] !== undefined && value['error'] !== null)) {
      this.#failed = true
    }
  }

  /** The event has a member `usage` somewhere, in a shape that is not the usual `"usage":null` near its end. */
  #usageEvent(event: Buffer): Uint8Array {
    const { dataAt, joined } = fieldsOf(event)
    if (dataAt === undefined) {
      const value = joined === undefined ? undefined : parseJson(joined)
      const usage = isObject(value) ? value['usage'] : undefined
      this.#learn(usage)
      return this.#drops(usage, isObject(value) ? value['choices'] : undefined) ? NOTHING : event
    }
    const object = scanObject(event.subarray(0, dataAt.end), dataAt.start)
    if (object.kind === 'fault') return event
    const usage = memberValue(event, object, 'usage')
    this.#learn(usage)
    if (usage === null && this.#strip) return cutMember(event, object, 'usage')
    return this.#drops(usage, memberValue(event, object, 'choices')) ? NOTHING : event
  }

  #learn(usage: unknown): void {
    if (!isObject(usage)) return
    this.#usage = chatUsage({ usage, model: this.#model, serviceTier: this.#serviceTier }) ?? this.#usage
  }

  /** Only the chunk that was asked for goes: other chunks with empty `choices` (content filters) are the caller's. */
  #drops(usage: unknown, choices: unknown): boolean {
    return this.#strip && isObject(usage) && Array.isArray(choices) && choices.length === 0
  }
}

function memberValue(event: Buffer, object: ScannedObject, name: string): unknown {
  const member = object.members.findLast(({ key }) => key === name)
  return member && parseJsonBytes(event, member.valueStart, member.valueEnd)
}

/**
 * Whether `,"usage":null` stands at `at`, at the top level: from there to the end of the data only one bracket closes
 * that was not opened, the object's own. Any other shape is left to the slower scan.
 */
function isTrailingNull(event: Buffer, at: number): boolean {
  return event[at - 1] === COMMA && matches(event, at, USAGE_NULL) && closesObject(event, at + USAGE_NULL.length)
}

/** Offset of the next `"usage"` or `"delta":`, or -1. Quotes inside strings are escaped, so neither can be text. */
function nextMark(event: Buffer, from: number): number {
  for (let at = from; at < event.length; at += 1) {
    if (event[at] !== 0x22) continue
    const next = event[at + 1]
    if (next === USAGE[1] && matches(event, at, USAGE)) return at
    if (next === DELTA[1] && matches(event, at, DELTA)) return at
  }
  return -1
}

function matches(event: Buffer, at: number, mark: Buffer): boolean {
  for (let index = 0; index < mark.length; index += 1) if (event[at + index] !== mark[index]) return false
  return true
}

function cut(event: Buffer, start: number, end: number): Buffer {
  const left = Buffer.allocUnsafe(event.length - (end - start))
  event.copy(left, 0, 0, start)
  event.copy(left, start, end)
  return left
}

function closesObject(event: Buffer, from: number): boolean {
  let depth = 1
  for (let at = from; at < event.length;) {
    const byte = event[at]
    if (byte === 0x22) {
      at = stringEnd(event, at)
      if (at < 0) return false
      continue
    }
    if (byte === 0x0a) return false
    if (byte === 0x7b || byte === 0x5b) depth += 1
    else if (byte === 0x7d || byte === 0x5d) depth -= 1
    at += 1
    if (depth === 0) return onlySpace(event, at)
  }
  return false
}

function onlySpace(event: Buffer, from: number): boolean {
  for (let at = from; at < event.length; at += 1) if (!isJsonSpace(event[at])) return false
  return true
}

function cutMember(event: Buffer, object: ScannedObject, name: string): Uint8Array {
  const index = object.members.findLastIndex(({ key }) => key === name)
  const member = object.members[index]
  if (member === undefined) return event
  const before = object.members[index - 1]
  const after = object.members[index + 1]
  const start = before === undefined ? member.keyStart : before.valueEnd
  const end = before === undefined && after !== undefined ? after.keyStart : member.valueEnd
  return cut(event, start, end)
}
