/** What the main thread and the thread that writes the log say to each other. */
import type { RecordParts, Settles } from '../../domain/audit/audit-record.ts'

/** `disk`: acknowledged after fdatasync. `process`: after write, with fdatasync soon after; survives a kill, not a power cut. */
export type Durability = 'disk' | 'process'

export interface WriterOptions {
  /** Folder of all logs of this data folder; each writer process has its own log in it. */
  readonly auditDir: string
  readonly keysDir: string
  readonly deployment: string
  readonly alone: boolean
  readonly durability: Durability
  readonly checkpointMs: number
  readonly segmentBytesMax: number
  readonly nowMs: number
}

/** What a receipt states about a record beside its place and hash. */
export interface ReceiptClaims {
  readonly id: string
  readonly out: string
  readonly code: string | undefined
}

export interface Entry {
  readonly parts: RecordParts
  readonly settles: Settles
  readonly receipt: ReceiptClaims | undefined
}

export type ToWriter =
  | { readonly kind: 'append'; readonly entries: readonly Entry[]; readonly nowMs: number }
  | { readonly kind: 'close'; readonly nowMs: number }

/** What start-up found in the log that it continues. */
export interface Recovered {
  /** Whether the log is a new one. */
  readonly created: boolean
  /** Whether the process that wrote before this one closed the log. */
  readonly clean: boolean
  /** Bytes of an unfinished write that were cut from the end. */
  readonly tornBytes: number
  /** Records before this start. */
  readonly previousSize: number
  /** Admitted decisions whose settlement is not in this log, oldest first. */
  readonly openDecisions: readonly string[]
}

export interface Ready {
  readonly kind: 'ready'
  readonly name: string
  readonly origin: string
  readonly vkey: string
  readonly receiptKey: Record<string, unknown>
  readonly recovered: Recovered
  readonly size: number
}

/** Answers cover entries in the order in which they were sent: the oldest `count` that are unanswered. */
export type FromWriter =
  | Ready
  | { readonly kind: 'cannot_open'; readonly message: string }
  | {
      readonly kind: 'acked'
      readonly firstSeq: number
      readonly count: number
      readonly timeMs: number
      /** One for each entry; empty when none asked for one. */
      readonly receipts: readonly (string | undefined)[]
    }
  | { readonly kind: 'rejected'; readonly count: number; readonly reason: string; readonly state: WriterState }
  | { readonly kind: 'state'; readonly state: WriterState }
  | { readonly kind: 'closed'; readonly error: string | undefined }

/** `full`: the disk took no more, tried again until it does. `failed`: for good, until the process starts anew. */
export type WriterState = 'open' | 'full' | 'failed'
