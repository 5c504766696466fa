/** Records of all logs of a data folder, in the order of time, as far as they answer a question. */
import { existsSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { memberOf } from '../../domain/audit/audit-record.ts'
import type { AuditRecord, RecordType } from '../../domain/audit/audit-record.ts'
import { isMissing } from './durable-file.ts'
import { logPaths } from './log-description.ts'
import { readRecords } from './log-reader.ts'
import { listSegments } from './segments.ts'

/** All that are given must hold. */
export interface RecordFilter {
  readonly types?: readonly RecordType[]
  /** Inclusive. */
  readonly sinceMs?: number
  /** Exclusive. */
  readonly untilMs?: number
  /** `admit` or `refuse` of a decision, the ending of a settlement. */
  readonly outcome?: string
  readonly code?: string
  readonly tenant?: string
  readonly team?: string
  readonly agent?: string
  /** Pseudonym. */
  readonly user?: string
  /** Of the record itself, of its request, or of the decision that it settles. */
  readonly id?: string
  readonly limit?: number
}

export async function* queryRecords(dataDir: string, filter: RecordFilter): AsyncGenerator<AuditRecord> {
  let left = filter.limit ?? Number.POSITIVE_INFINITY
  if (left <= 0) return
  for await (const record of mergedRecords(await listLogs(dataDir), filter)) {
    if (!isWanted(record, filter)) continue
    yield record
    left -= 1
    if (left === 0) return
  }
}

/** Folders of logs in a data folder, by name, also when all but one of a log's files are gone. */
export async function listLogs(dataDir: string): Promise<readonly string[]> {
  const auditDir = join(dataDir, 'audit')
  const names = await readdir(auditDir).catch((error: unknown) => {
    if (isMissing(error)) {
      throw new Error(`${auditDir}: no such folder; give the data folder of a gateway`, { cause: error })
    }
    throw error
  })
  names.sort((a, b) => (a < b ? -1 : 1))
  const dirs: string[] = []
  for (const name of names) {
    const dir = join(auditDir, name)
    const paths = logPaths(dir)
    const segments = await listSegments(paths.segments)
    if (segments.length > 0 || existsSync(paths.description) || existsSync(paths.checkpoint)) dirs.push(dir)
  }
  return dirs
}

interface Head {
  readonly records: AsyncIterator<AuditRecord>
  readonly record: AuditRecord
}

/** Each log is in order by itself, so the earliest head is the earliest of all; equal times keep the order of names. */
async function* mergedRecords(dirs: readonly string[], filter: RecordFilter): AsyncGenerator<AuditRecord> {
  const { sinceMs, untilMs } = filter
  const readers = dirs.map((dir) => readRecords(dir, sinceMs === undefined ? {} : { sinceMs }))
  try {
    let heads = (await Promise.all(readers.map(advance))).filter((head) => head !== undefined)
    for (;;) {
      const [first, ...others] = heads
      if (first === undefined) return
      const earliest = others.reduce((best, head) => (head.record.t < best.record.t ? head : best), first)
      if (untilMs !== undefined && Date.parse(earliest.record.t) >= untilMs) return
      yield earliest.record
      const next = await advance(earliest.records)
      heads = heads.flatMap((head) => (head === earliest ? (next ?? []) : head))
    }
  } finally {
    await Promise.all(readers.map((reader) => reader.return(undefined)))
  }
}

async function advance(records: AsyncIterator<AuditRecord>): Promise<Head | undefined> {
  const { done, value } = await records.next()
  return done === true ? undefined : { records, record: value }
}

function isWanted(record: AuditRecord, filter: RecordFilter): boolean {
  const actor = record['act']
  const decided = record['dec']
  const outcome = record.type === 'settle' ? text(record['out']) : memberOf(decided, 'out')
  const ids = [record.id, memberOf(record['ref'], 'id'), memberOf(record['req'], 'id')]
  return (
    (filter.types?.includes(record.type) ?? true) &&
    (filter.sinceMs === undefined || Date.parse(record.t) >= filter.sinceMs) &&
    isAsAsked(outcome, filter.outcome) &&
    isAsAsked(memberOf(decided, 'code'), filter.code) &&
    isAsAsked(memberOf(actor, 'tenant'), filter.tenant) &&
    isAsAsked(memberOf(actor, 'team'), filter.team) &&
    isAsAsked(memberOf(actor, 'agent'), filter.agent) &&
    isAsAsked(memberOf(actor, 'sub'), filter.user) &&
    (filter.id === undefined || ids.includes(filter.id))
  )
}

function isAsAsked(value: string | undefined, asked: string | undefined): boolean {
  return asked === undefined || value === asked
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined
}
