/**
 * One request as it reaches the gateway: who claims to be calling and what was sent, nothing of it believed yet.
 */
import type { Refusal } from './refusal.ts'

/** The credential a request carries, in whichever header its client puts it. */
export type Credential =
  | { readonly kind: 'token'; readonly token: string }
  | { readonly kind: 'missing' }
  /** `Authorization` and `x-api-key` name different credentials: never authenticate one and ignore the other. */
  | { readonly kind: 'conflict' }

export interface Call {
  /** UUIDv7; the caller sees it as the request id, the log as the id of the decision. */
  readonly id: string
  readonly startedAtMs: number
  readonly credential: Credential
  /** Route template, e.g. `/v1/chat/completions`; never the query string. */
  readonly endpoint: string
  /** Headers that belong to the wire format (`anthropic-version`, `anthropic-beta`), lower case. */
  readonly wireHeaders: Readonly<Record<string, string>>
  /** Run that the caller says this call belongs to (`x-tollgate-run`), unchecked; undefined when it says none. */
  readonly run?: string | undefined
  /** Address of the peer, for rules keyed by `ip`. */
  readonly ip: string
  /** Reads the body, once, up to the gateway's limit. Called only for an authenticated caller. */
  readonly readBody: () => Promise<Uint8Array | Refusal>
}
