/**
 * The facts of a request that decisions need, read once from the caller's body by its dialect.
 */

export type DialectName = 'openai-chat' | 'anthropic-messages'

/** What kind of work a route does; access rules name these. */
export type Operation = 'chat'

/** Vendor whose wire format a dialect speaks; same-family calls forward the caller's bytes. */
export type Family = 'openai' | 'anthropic'

export interface Ask {
  readonly dialect: DialectName
  readonly family: Family
  readonly operation: Operation
  /** Model name as the caller wrote it: an alias of the policy. */
  readonly model: string
  readonly stream: boolean
  /** The caller's own bytes, unchanged. */
  readonly body: Uint8Array
  /** Bytes that can become input tokens: the body less media payloads, NFC-normalised when that is longer. */
  readonly textBytes: number
  /** Number of images in the request; each is bounded by its model's own largest image. */
  readonly images: number
  /** Upper bound, in tokens, of all other media (audio, files) by the largest published rule. */
  readonly mediaTokensMax: number
  /** Whether tools are declared: their hidden framing costs more fixed tokens. */
  readonly hasTools: boolean
  /** The caller's own maximum of output tokens for one choice, or undefined when it gave none. */
  readonly outputTokensMax: number | undefined
  /** The field that maximum stands in, for refusals of it. */
  readonly outputTokensField?: string | undefined
  /** Other fields ask for so much thinking that the provider refuses a maximum below this; undefined when none does. */
  readonly outputTokensLeast?: number | undefined
  /** Bytes of text the answer is predicted to have: what does not match is billed as output that nobody sees. */
  readonly predictedBytes?: number | undefined
  /** Whether the provider may summarise the context first: it then reads it once more and writes an answer more. */
  readonly compacts?: boolean | undefined
  /** Geography the caller asks to be served from, or undefined. */
  readonly geography?: string | undefined
  /** Number of answers asked for (`n`), at least 1. */
  readonly choices: number
  /** Service tier the caller asked for, or undefined. */
  readonly serviceTier: string | undefined
  /** Whether the caller itself asked for usage in the stream; what the gateway injects it must strip again. */
  readonly wantsStreamUsage: boolean
  /** Whether one-hour cache writes are asked for. */
  readonly longCacheWrites: boolean
  /** Names of fields whose content the gateway cannot see (file ids, stored state); they take the model's whole input. */
  readonly opaque: readonly string[]
  /** Server tools that run at the provider, with the most calls each may make; unbounded ones say undefined. */
  readonly serverTools: readonly { readonly name: string; readonly callsMax: number | undefined }[]
  /** Fields that name further models the answer may be billed at. */
  readonly otherModels: readonly string[]
  /** The text pieces that become input tokens, for the exact count; computed only when asked for. */
  readonly texts: () => readonly string[]
}

/** A body the dialect refuses: names the field and the fix. */
export interface InvalidAsk {
  readonly kind: 'invalid'
  /** JSON path of the field, e.g. `messages[0].role`; undefined when the whole body is at fault. */
  readonly field: string | undefined
  /** One sentence in the caller's words: what is wrong and what would be right. Never echoes content. */
  readonly message: string
}

export interface ParsedAsk {
  readonly kind: 'parsed'
  readonly ask: Ask
}
