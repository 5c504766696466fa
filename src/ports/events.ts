import type { Decision } from '../domain/decision.ts'
import type { LedgerFault } from '../domain/ledger/ledger-fault.ts'
import type { Settlement } from '../domain/settlement.ts'

/**
 * What operators watch. One method an event: its log line and its counters are defined together. Never given content,
 * credentials or names of people.
 */
export interface Events {
  decided(decision: Decision, decidedInMs: number): void
  authenticationFailed(issuer: string | undefined, reason: string): void
  /** Also alarms when a provider billed more than a bound it accepted (flag `bound_exceeded`). */
  settled(settlement: Settlement): void
  /** An issuer's keys could not be read, or a key in its set is unusable; known keys serve on. */
  issuerKeysFailed(issuer: string, problem: string): void
  /** A settlement could not be written to the ledger or the log and is tried again, or given up. */
  settlementDelayed(callId: string, store: 'ledger' | 'audit', attempt: number, error: unknown): void
  settlementAbandoned(callId: string, store: 'ledger' | 'audit', error: unknown): void
  upstreamFailed(upstream: string, kind: string): void
  ledgerFailed(operation: string, error: unknown): void
  /** Nothing is decided by the ledger from now on; `detail` names logs that it waits for. Told again while it lasts. */
  ledgerClosed(fault: LedgerFault, detail: string): void
  /** It decides again: how many sums and open calls this gateway told its store, and how long it was closed. */
  ledgerOpened(told: { readonly facts: number; readonly calls: number; readonly closedMs: number }): void
  auditFailed(error: unknown): void
  /** Calls that were open longer than any may be, and were ended. */
  callsOutlived(count: number): void
  holdsExpired(count: number): void
  holdsLost(count: number): void
  /** Expired holds of this node's calls that its log accounts for now. */
  holdsReconciled(count: number): void
  /** Open calls whose holds the ledger had lost, and holds again. */
  holdsReasserted(count: number): void
  /** Something that should not happen did; the call was answered with a plain 500. */
  unexpected(where: string, error: unknown): void
}
