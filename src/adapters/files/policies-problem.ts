/**
 * What is wrong with a policy set, and where. The codes are listed in policies/README.md.
 */

export type PolicyPath = readonly (string | number)[]

export interface PolicyProblem {
  readonly file: string
  /** Both count from 1. */
  readonly line: number
  readonly col: number
  readonly severity: 'error' | 'warning'
  /** `P001` to `P059`. */
  readonly code: string
  /** Where in the file, e.g. `limits.0.key.0`; empty for the file as a whole. */
  readonly path: string
  readonly message: string
}

/** A place in a file that a problem can be shown at. */
export interface Place {
  problem(finding: Finding): PolicyProblem
}

export interface Finding {
  readonly code: string
  readonly message: string
  /** Below the place itself. */
  readonly path?: PolicyPath
  readonly severity?: 'error' | 'warning'
}

/** Collects findings of one check. */
export type Report = (place: Place, finding: Finding) => void
