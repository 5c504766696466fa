/** Reads the records of one log in order, in constant memory, while it may be written. */
import { parseRecord } from '../../domain/audit/audit-record.ts'
import type { AuditRecord } from '../../domain/audit/audit-record.ts'
import { logPaths } from './log-description.ts'
import { listSegments, readLines, readSum } from './segments.ts'

export interface Reading {
  /** Stops before this sequence number. */
  readonly end?: number
  /** Leaves out whole segments that end before this time, as their sidecars say. */
  readonly sinceMs?: number
}

/**
 * What reads the log for its content does not decide whether it is genuine, but it never skips what it cannot read: a sum
 * over a log with a hole in it would look like any other. An unfinished last line is not a record yet.
 */
export async function* readRecords(dir: string, reading: Reading = {}): AsyncGenerator<AuditRecord> {
  const end = reading.end ?? Number.POSITIVE_INFINITY
  for (const segment of await listSegments(logPaths(dir).segments)) {
    if (segment.first >= end) return
    const sum = reading.sinceMs === undefined ? undefined : await readSum(segment)
    if (sum !== undefined && sum.lastTimeMs < (reading.sinceMs ?? 0)) continue
    let seq = segment.first
    for await (const lines of readLines(segment.path)) {
      for (const line of lines) {
        if (seq >= end || line.kind === 'unterminated') return
        const record = parseRecord(line.bytes)
        if (record?.seq !== seq) {
          throw new Error(`${segment.path}: record ${seq} cannot be read; run "tollgate audit verify"`)
        }
        yield record
        seq += 1
      }
    }
  }
}
