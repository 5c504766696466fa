/**
 * A wire format: how a body is read, forwarded, answered and metered. Pure: no network, no clock.
 */
import type { Ask, DialectName, Family, InvalidAsk, Operation, ParsedAsk } from './ask.ts'
import type { Refusal } from './refusal.ts'
import type { Usage } from './prices/usage.ts'

/** What may be spliced into the caller's bytes; everything else goes upstream exactly as it came. */
export interface Splice {
  /** The provider's own name of the model. */
  readonly model: string
  /** Maximum of output tokens to set, in place of the caller's own if it gave one; undefined leaves the body alone. */
  readonly outputTokensMax: number | undefined
  /** Ask for usage in the stream although the caller did not. */
  readonly includeUsage: boolean
}

/** What a stream turned out to be. */
export interface StreamSummary {
  /** The last usage the provider reported, merged over its events; undefined when it reported none. */
  readonly usage: Usage | undefined
  /** Whether the format's terminal event was seen: without it the stream is broken. */
  readonly complete: boolean
  /** Whether the provider itself sent an error frame. */
  readonly failed: boolean
  /** Number of events that carried generated output. */
  readonly outputEvents: number
}

/** Follows one stream: passes bytes on, strips what the gateway asked for and the caller did not, learns the usage. */
export interface StreamReader {
  /**
   * Bytes to pass on for this chunk; may be empty while an event is incomplete and being decided on. When nothing needs
   * stripping the chunk is returned as it is, at once.
   */
  push(chunk: Uint8Array): Uint8Array
  /** Bytes still kept back when the upstream ended. */
  end(): Uint8Array
  summary(): StreamSummary
  /** The generated text seen so far, for counting when no usage came. Bounded: see `OUTPUT_RETAINED_MAX`. */
  outputTexts(): readonly string[]
  /** UTF-8 bytes of generated text seen beyond what `outputTexts` retains: each counts as one token. */
  outputBytesBeyond(): number
}

/** An answer made by the gateway itself. */
export interface RenderedAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** What a rendered refusal names besides its own facts. */
export interface RefusalContext {
  /** Id of the call; also the id of its decision record. */
  readonly requestId: string
  /** Compact JWS receipt, when the refusal is on record. */
  readonly receipt: string | undefined
  /** The caller's `x-stainless-retry-count` (0 when absent) and whether it is Claude Code: they steer retry advice. */
  readonly retryCount: number
  readonly isClaudeCode: boolean
}

export interface Dialect {
  readonly name: DialectName
  readonly family: Family
  readonly operation: Operation
  /** Reads the caller's body. Never throws: a bad body is an {@link InvalidAsk} that names the field and the fix. */
  parse(body: Uint8Array): ParsedAsk | InvalidAsk
  /** The bytes that go upstream: the caller's own, with at most the splices. */
  forward(ask: Ask, splice: Splice): Uint8Array
  /** Usage of a complete, non-streamed answer; undefined when it has none. */
  usageOf(body: Uint8Array): Usage | undefined
  /** Generated text of a complete, non-streamed answer, for counting when it has no usage. */
  outputTextsOf(body: Uint8Array): readonly string[]
  streamReader(ask: Ask): StreamReader
  renderRefusal(refusal: Refusal, context: RefusalContext): RenderedAnswer
  /** The frame that ends a broken stream; a broken stream never ends cleanly. */
  errorFrame(refusal: Refusal, requestId: string): string
  /** Bytes that keep an idle stream alive and that every client of the format ignores. */
  readonly keepAlive: string
}
