/**
 * Failures of the outside world, as the ports report them. A refusal is a value; these are what no decision foresaw.
 */

/** The ledger did not answer within its bound, or answered with a failure of its own; the step may have happened. */
export class LedgerUnavailable extends Error {
  override readonly name = 'LedgerUnavailable'
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
