/**
 * Verifies logs on disk, offline, in constant memory, while they may be written. Nothing but the verification key is
 * believed: every other file of the folder may have been changed by whoever changed the records.
 */
import { existsSync } from 'node:fs'
import { basename, join } from 'node:path'
import { ContentCheck } from '../../domain/audit/audit-verify-content.ts'
import { severityOf } from '../../domain/audit/audit-verify-findings.ts'
import type { Finding, Severity } from '../../domain/audit/audit-verify-findings.ts'
import { parseVkey } from '../../domain/audit/checkpoint.ts'
import type { NoteKey } from '../../domain/audit/checkpoint.ts'
import { parseRecord, settlesOf } from '../../domain/audit/audit-record.ts'
import type { Clock } from '../../ports.ts'
import { checkLines } from './check-lines.ts'
import { isForbidden } from './durable-file.ts'
import { largestSignedFile } from './largest-signed.ts'
import { logPaths, readDescription } from './log-description.ts'
import type { LogReport } from './log-report.ts'
import { missingLogs, reportMissing } from './missing-logs.ts'
import { listLogs } from './query.ts'
import { listSegments, readLines } from './segments.ts'
import { findSigned } from './signed-notes.ts'
import type { SignedNotes } from './signed-notes.ts'

export interface VerifyOptions {
  /** Verification key from a trusted place. Without it the key in `log.json` is used, which whoever changed the log could change too. */
  readonly vkey?: string
  readonly clock?: Clock
}

/** One log by itself. A settlement whose decision is in another log can only be matched by {@link verifyFolder}. */
export async function verifyLog(dir: string, options: VerifyOptions = {}): Promise<LogReport> {
  const checked = await checkLog(dir, { used: keyFor(dir, options.vkey), outsideFile: undefined })
  await matchAcross([dir], [checked.content])
  return reportOf(checked, nowOf(options))
}

/**
 * All logs of a data folder. A key that is given holds for the log it names; that log must be there. Where the signing keys
 * are beside the logs, as they are not in an auditor's copy, their names and what lies with them tell what is gone.
 */
export async function verifyFolder(dataDir: string, options: VerifyOptions = {}): Promise<readonly LogReport[]> {
  const lost = lostLogs(dataDir)
  const dirs = await foldersOf(dataDir, lost)
  const given = options.vkey === undefined ? undefined : parseVkey(options.vkey).name
  const isGiven = (name: string) => given !== undefined && isNamed(name, given)
  if (given !== undefined && ![...dirs, ...lost].some(isGiven)) {
    throw new Error(`${dataDir}: the log ${given} of the given key is not in this folder; it was moved or removed`)
  }
  // A log without its description can still be verified with a key that is given.
  const readable = dirs.filter((dir) => isGiven(dir) || !lost.includes(basename(dir)))
  const reports = await verifyLogs(readable, { ...options, keysDir: join(dataDir, 'keys'), lost })
  const gone = lost.filter((name) => !readable.some((dir) => basename(dir) === name))
  return [...gone.map(reportMissing), ...reports]
}

/** Who may not look at the keys verifies without them. */
function lostLogs(dataDir: string): readonly string[] {
  try {
    return missingLogs({ auditDir: join(dataDir, 'audit'), keysDir: join(dataDir, 'keys') })
  } catch (error) {
    if (isForbidden(error)) return []
    throw error
  }
}

/** Where keys prove that there were logs, a missing folder of all of them is a finding and no wrong use. */
async function foldersOf(dataDir: string, lost: readonly string[]): Promise<readonly string[]> {
  return lost.length > 0 && !existsSync(join(dataDir, 'audit')) ? [] : listLogs(dataDir)
}

/** The last part of a log's origin is the name of its folder. */
function isNamed(dir: string, origin: string): boolean {
  return origin.endsWith(`/${basename(dir)}`)
}

interface Checked {
  readonly report: Omit<LogReport, 'ok' | 'verdict' | 'findings'>
  readonly findings: readonly Finding[]
  readonly content: ContentCheck
}

async function verifyLogs(
  dirs: readonly string[],
  options: VerifyOptions & { readonly keysDir: string; readonly lost: readonly string[] },
): Promise<readonly LogReport[]> {
  const checked: Checked[] = []
  for (const dir of dirs) {
    const log = basename(dir)
    const isGiven = options.vkey !== undefined && isNamed(dir, parseVkey(options.vkey).name)
    const used = keyFor(dir, isGiven ? options.vkey : undefined)
    const one = await checkLog(dir, { used, outsideFile: largestSignedFile(options.keysDir, log) })
    const missing: readonly Finding[] = options.lost.includes(log) ? [{ kind: 'LOG_MISSING', log }] : []
    checked.push({ ...one, findings: [...missing, ...one.findings] })
  }
  await matchAcross(
    dirs,
    checked.map(({ content }) => content),
  )
  return checked.map((one) => reportOf(one, nowOf(options)))
}

function nowOf(options: VerifyOptions): number {
  return options.clock?.nowMs() ?? Date.now()
}

function reportOf({ report, findings, content }: Checked, nowMs: number): LogReport {
  const list = content.end(nowMs)
  const all = [...findings, ...list.listed].map((finding) => ({ ...finding, severity: severityOf(finding) }))
  const has = (severity: Severity) => all.some((finding) => finding.severity === severity)
  const verdict = has('tampered') ? 'tampered' : has('warning') ? 'warning' : 'ok'
  return { ...report, ok: verdict === 'ok', verdict, findings: all, more: report.more + list.more }
}

/** A call may be admitted by one process and settled by another, and settled twice when it was late. */
async function matchAcross(dirs: readonly string[], contents: readonly ContentCheck[]): Promise<void> {
  const wanted = new Set(contents.flatMap((content) => [...content.unmatched]))
  if (wanted.size === 0) return
  for (const id of wanted) for (const content of contents) content.settledElsewhere(id)
  for (const dir of dirs) {
    for (const segment of await listSegments(logPaths(dir).segments)) {
      for await (const lines of readLines(segment.path)) {
        for (const line of lines) {
          const record = line.kind === 'whole' ? parseRecord(line.bytes) : undefined
          const settles = record === undefined ? undefined : settlesOf(record)
          if (settles?.kind !== 'opens' || !wanted.has(settles.decisionId)) continue
          for (const content of contents) content.matched(settles.decisionId)
        }
      }
    }
  }
}

interface UsedKey {
  readonly key: NoteKey | undefined
  readonly vkey: string
  readonly keyFrom: LogReport['keyFrom']
  readonly reason: string
}

/** A log without a readable key is a finding, not a failure: the other logs of the folder are verified all the same. */
function keyFor(dir: string, given: string | undefined): UsedKey {
  if (given !== undefined) return { key: parseVkey(given), vkey: given, keyFrom: 'given', reason: '' }
  try {
    const vkey = readDescription(dir)?.vkey
    if (vkey !== undefined) return { key: parseVkey(vkey), vkey, keyFrom: 'log.json', reason: '' }
    return { key: undefined, vkey: '', keyFrom: 'log.json', reason: 'missing; give the verification key' }
  } catch (error) {
    return { key: undefined, vkey: '', keyFrom: 'log.json', reason: String(error) }
  }
}

/** `outsideFile`: what is known beside the keys to have been signed; none for a log by itself. */
async function checkLog(
  dir: string,
  { used, outsideFile }: { readonly used: UsedKey; readonly outsideFile: string | undefined },
): Promise<Checked> {
  const { key, vkey, keyFrom, reason } = used
  const log = { log: basename(dir), vkey, keyFrom }
  const content = new ContentCheck()
  if (key === undefined) {
    const report = { ...log, origin: '', size: 0, signed: 0, root: '', more: 0 }
    return { report, findings: [{ kind: 'UNKNOWN_KEY', file: 'log.json', reason }], content }
  }
  const signed = await findSigned(dir, { key, outsideFile })
  const verified = await checkLines(dir, { key, signed, onRecord: (record) => content.take(record) })
  const { size, more } = verified
  const signedSize = signed.checkpoint?.size ?? 0
  const ends = [...rolledBack(size, signed), ...unsigned({ size, signed, isUsed: content.isUsed })]
  const findings = [...signed.findings, ...verified.findings, ...ends]
  const root = Buffer.from(verified.root).toString('hex')
  return { report: { ...log, origin: key.name, size, signed: signedSize, root, more }, findings, content }
}

/** Without a checkpoint of its own, a log is held against the one outside line by line. */
function rolledBack(size: number, { checkpoint, outside }: SignedNotes): readonly Finding[] {
  if (checkpoint === undefined || outside === undefined) return []
  const isOlder = outside.size > Math.max(size, checkpoint.size)
  return isOlder ? [{ kind: 'ROLLED_BACK', have: size, signed: outside.size }] : []
}

function unsigned(log: {
  readonly size: number
  readonly signed: SignedNotes
  readonly isUsed: boolean
}): readonly Finding[] {
  const { checkpoint } = log.signed
  if (checkpoint === undefined) return log.isUsed ? [{ kind: 'NO_CHECKPOINT', size: log.size }] : []
  return log.size > checkpoint.size ? [{ kind: 'UNSIGNED_TAIL', n: log.size - checkpoint.size }] : []
}
