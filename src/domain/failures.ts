/**
 * Failures of the outside world, as the ports report them. A refusal is a value; these are what no decision foresaw.
 */

import type { LedgerFault } from './ledger/ledger-fault.ts'

/** The ledger did not answer within its bound, or answered with a failure of its own. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable'
  readonly fault: LedgerFault
  /** False only where it is certain that the store did nothing: nothing was sent, or it said so. Else it may have happened. */
  readonly maybeDone: boolean

  constructor(message: string, details: { fault?: LedgerFault; maybeDone?: boolean; cause?: unknown } = {}) {
    super(message, { cause: details.cause })
    this.fault = details.fault ?? 'unexpected'
    this.maybeDone = details.maybeDone ?? true
  }
}

/** Why the ledger gave no answer; anything but its own failure is unexpected. */
export function faultOf(error: unknown): LedgerFault {
  return error instanceof LedgerUnavailable ? error.fault : 'unexpected'
}

/** The log cannot take a record: disk full, write or sync failed, or too much is waiting. */
export class AuditUnavailable extends Error {
  override readonly name = 'AuditUnavailable'
}

/** The provider could not be reached or broke off. */
export class UpstreamFailure extends Error {
  override readonly name = 'UpstreamFailure'
  readonly kind: 'connect' | 'timeout' | 'reset' | 'aborted' | 'bad_response'
  /** Whether the request may have reached the provider: then tokens may have been spent. */
  readonly sent: boolean

  constructor(message: string, details: { kind: UpstreamFailure['kind']; sent: boolean; cause?: unknown }) {
    super(message, { cause: details.cause })
    this.kind = details.kind
    this.sent = details.sent
  }
}
