import { existsSync } from 'node:fs'
import { basename } from 'node:path'
import { settlesOf } from '../../domain/audit/audit-record.ts'
import type { AuditRecord } from '../../domain/audit/audit-record.ts'
import { FindingList } from '../../domain/audit/audit-verify-findings.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'
import { OpenDecisions } from './open-decisions.ts'
import { formatSum, readSum, sumPath } from './segments.ts'
import type { Segment, SegmentSum } from './segments.ts'

/**
 * Compares the sidecars of segments with what the segments hold. A start believes which calls a sidecar calls open, and a query
 * skips what a sidecar calls old; neither is under the root, so a changed sidecar could make a hold or a record vanish.
 */
export class SumCheck {
  readonly findings = new FindingList()
  /** All below is owned by this object. */
  readonly #openDecisions = new OpenDecisions()
  #lastTimeMs = 0

  take(record: AuditRecord): void {
    this.#openDecisions.apply(settlesOf(record))
    this.#lastTimeMs = Date.parse(record.t)
  }

  /** Read before its segment is: a sidecar that is there says that the segment does not grow any more. */
  async read(segment: Segment): Promise<SegmentSum | undefined> {
    // Looked for first: one that is written a moment later is not there yet, and not unreadable.
    if (!existsSync(sumPath(segment))) return undefined
    const sum = await readSum(segment)
    if (sum === undefined) this.#wrong(segment)
    return sum
  }

  compare(segment: Segment, sum: SegmentSum, found: { readonly frontier: Frontier; readonly bytes: number }): void {
    const openDecisions = this.#openDecisions.list()
    const held = formatSum(segment, { ...found, lastTimeMs: this.#lastTimeMs, openDecisions })
    if (formatSum(segment, sum) !== held) this.#wrong(segment)
  }

  #wrong(segment: Segment): void {
    this.findings.add({ kind: 'WRONG_SUM', file: basename(sumPath(segment)) })
  }
}
