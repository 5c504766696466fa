import type { AuditRecord, WrittenDraft } from '../domain/audit/audit-record.ts'

/** Where a record stands, and its receipt when one was asked for. */
export interface Signed {
  readonly seq: number
  readonly timeMs: number
  /** Compact JWS over the record's leaf hash; present when asked for. */
  readonly receipt: string | undefined
}

/**
 * The append-only, signed log.
 *
 * Owes: `append` resolves only when the record survives a kill of the process (and, with durability `disk`, of the
 * machine); it rejects with `AuditUnavailable` when it cannot, and then the record is not in the log. Records keep the
 * order of the calls. Never blocks the event loop for I/O; what waits is bounded.
 */
export interface AuditLog extends AsyncDisposable {
  /** Origin of this log. */
  readonly origin: string
  append(draft: WrittenDraft, options?: { readonly receipt?: boolean }): Promise<Signed>
  /** False while appends would be rejected: admission checks it before anything is reserved. */
  writable(): boolean
  /** Verification key in C2SP vkey form and the receipt keys as a JWKS. */
  keys(): { readonly vkey: string; readonly jwks: { readonly keys: readonly Record<string, unknown>[] } }
  /** Reads the log in order; with `sinceMs` (epoch), stretches that are older as a whole may be left out. */
  records(reading?: { readonly sinceMs?: number }): AsyncIterable<AuditRecord>
}

/** A log of the same data folder whose process is gone. Nobody can take it up until it is disposed. */
export interface IdleLog extends Disposable {
  readonly origin: string
  records(): AsyncIterable<AuditRecord>
}
