import type { Finding, Severity } from '../../domain/audit/audit-verify-findings.ts'

/** What a verification says of one log. */
export interface LogReport {
  /** Name of the log's folder. */
  readonly log: string
  readonly origin: string
  readonly vkey: string
  readonly keyFrom: 'given' | 'log.json'
  /** No finding but notes. */
  readonly ok: boolean
  /** The worst of the findings. */
  readonly verdict: 'ok' | 'warning' | 'tampered'
  /** Records in the log, and how many of them the last good checkpoint covers. */
  readonly size: number
  readonly signed: number
  /** Root over all records, in hexadecimal. */
  readonly root: string
  readonly findings: readonly (Finding & { readonly severity: Severity })[]
  /** Findings that are not listed, because there are too many. */
  readonly more: number
}
