/** What a verification may find, and what it means. */

/**
 * `tampered`: the log is not what was signed. `warning`: nothing was changed, but something is owed or odd. `note`: to be
 * expected of a log that is alive.
 */
export type Severity = 'tampered' | 'warning' | 'note'

export type Finding =
  | {
      readonly kind: 'ALTERED' | 'REORDERED' | 'DUPLICATE' | 'CORRUPT_LINE' | 'CLOCK_BACK' | 'AFTER_CLOSE'
      readonly seq: number
    }
  | { readonly kind: 'MISSING'; readonly from: number; readonly to: number }
  /** The end was cut off; or the whole folder is older than what its key is known to have signed. */
  | { readonly kind: 'TRUNCATED' | 'ROLLED_BACK'; readonly have: number; readonly signed: number }
  | { readonly kind: 'BAD_SIG' | 'UNKNOWN_KEY'; readonly file: string; readonly reason: string }
  | { readonly kind: 'NO_CHECKPOINT'; readonly size: number }
  | {
      /** Some record from `from` to `to` is not what was signed, or, as a warning, the hash file is wrong from `from`. */
      readonly kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT'
      readonly from: number
      readonly to: number
      readonly recordsMatch: boolean
    }
  | { readonly kind: 'LOG_MISSING'; readonly log: string }
  /** The sidecar of a segment, which start-up and queries believe, does not say what the segment holds. */
  | { readonly kind: 'WRONG_SUM'; readonly file: string }
  | { readonly kind: 'UNSIGNED_TAIL'; readonly n: number }
  | { readonly kind: 'OPEN_RESERVATION'; readonly id: string; readonly isDue: boolean }
  | { readonly kind: 'SETTLE_WITHOUT_DECISION'; readonly id: string }

const SEVERITY = {
  ALTERED: 'tampered',
  REORDERED: 'tampered',
  DUPLICATE: 'tampered',
  CORRUPT_LINE: 'tampered',
  MISSING: 'tampered',
  TRUNCATED: 'tampered',
  ROLLED_BACK: 'tampered',
  BAD_SIG: 'tampered',
  UNKNOWN_KEY: 'tampered',
  LOG_MISSING: 'tampered',
  WRONG_SUM: 'tampered',
  AFTER_CLOSE: 'tampered',
  NO_CHECKPOINT: 'tampered',
  HASHES_DO_NOT_MATCH_CHECKPOINT: 'tampered',
  CLOCK_BACK: 'warning',
  SETTLE_WITHOUT_DECISION: 'warning',
  OPEN_RESERVATION: 'note',
  UNSIGNED_TAIL: 'note',
} as const satisfies Record<Finding['kind'], Severity>

export function severityOf(finding: Finding): Severity {
  if (finding.kind === 'OPEN_RESERVATION' && finding.isDue) return 'warning'
  if (finding.kind === 'HASHES_DO_NOT_MATCH_CHECKPOINT' && finding.recordsMatch) return 'warning'
  return SEVERITY[finding.kind]
}

/** Findings that are listed one by one; the rest is counted. */
const LISTED_MAX = 1000

/** Findings in the order in which they were made, as many as a reader can use. */
export class FindingList {
  /** Owned by one verification. */
  readonly #listed: Finding[] = []
  #more = 0

  add(finding: Finding): void {
    if (this.#listed.length < LISTED_MAX) this.#listed.push(finding)
    else this.#more += 1
  }

  /** Counts something that could not be looked at any closer. */
  skip(): void {
    this.#more += 1
  }

  get listed(): readonly Finding[] {
    return this.#listed
  }

  get more(): number {
    return this.#more
  }
}
