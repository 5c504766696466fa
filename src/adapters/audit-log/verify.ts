/**
 * Verifies logs on disk, offline, in constant memory, while they may be written. Nothing but the verification key is
 * believed: every other file of the folder may have been changed by whoever changed the records.
 */
import { basename, join } from 'node:path'
import { LogVerification } from '../../domain/audit-verify.ts'
import { ContentCheck } from '../../domain/audit-verify-content.ts'
import { severityOf } from '../../domain/audit-verify-findings.ts'
import type { Finding, Severity } from '../../domain/audit-verify-findings.ts'
import { parseVkey, verifyCheckpoint } from '../../domain/checkpoint.ts'
import type { Checkpoint, NoteKey } from '../../domain/checkpoint.ts'
import { parseRecord, settlesOf } from '../../domain/audit-record.ts'
import { rootOf } from '../../domain/merkle.ts'
import type { Clock } from '../../ports.ts'
import { isMissing } from './durable-file.ts'
import { HashFile } from './hash-file.ts'
import { logPaths, readDescription } from './log-description.ts'
import type { LogReport } from './log-report.ts'
import { missingLogs, reportMissing } from './missing-logs.ts'
import { readNotes } from './notes.ts'
import { listLogs } from './query.ts'
import { listSegments, readLines } from './segments.ts'

export interface VerifyOptions {
  /** Verification key from a trusted place. Without it the key in `log.json` is used, which whoever changed the log could change too. */
  readonly vkey?: string
  readonly clock?: Clock
}

/** One log by itself. A settlement whose decision is in another log can only be matched by {@link verifyFolder}. */
export async function verifyLog(dir: string, options: VerifyOptions = {}): Promise<LogReport> {
  const checked = await checkLog(dir, keyFor(dir, options.vkey))
  await matchAcross([dir], [checked.content])
  return reportOf(checked, nowOf(options))
}

/** All logs of a data folder. A key that is given holds for the log it names; that log must be there. */
export async function verifyFolder(dataDir: string, options: VerifyOptions = {}): Promise<readonly LogReport[]> {
  const lost = missingLogs({ auditDir: join(dataDir, 'audit'), keysDir: join(dataDir, 'keys') })
  const missing = lost.map(reportMissing)
  const dirs = (await listLogs(dataDir)).filter((dir) => !lost.includes(basename(dir)))
  const { vkey } = options
  if (vkey === undefined) return [...missing, ...(await verifyLogs(dirs, options))]
  const { name } = parseVkey(vkey)
  if (!dirs.some((dir) => isNamed(dir, name))) {
    throw new Error(`${dataDir}: the log ${name} of the given key is not in this folder; it was moved or removed`)
  }
  return [...missing, ...(await verifyLogs(dirs, options))]
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

async function verifyLogs(dirs: readonly string[], options: VerifyOptions): Promise<readonly LogReport[]> {
  const checked: Checked[] = []
  for (const dir of dirs) {
    const isGiven = options.vkey !== undefined && isNamed(dir, parseVkey(options.vkey).name)
    checked.push(await checkLog(dir, keyFor(dir, isGiven ? options.vkey : undefined)))
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

async function checkLog(dir: string, used: UsedKey): Promise<Checked> {
  const { key, vkey, keyFrom, reason } = used
  const log = { log: basename(dir), vkey, keyFrom }
  const content = new ContentCheck()
  if (key === undefined) {
    const report = { ...log, origin: '', size: 0, signed: 0, root: '', more: 0 }
    return { report, findings: [{ kind: 'UNKNOWN_KEY', file: 'log.json', reason }], content }
  }
  const signed = await findSigned(dir, key)
  const verified = await checkLines(dir, { key, signed: signed.checkpoint, content })
  const { size, more } = verified
  const signedSize = signed.checkpoint?.size ?? 0
  const findings = [...signed.findings, ...verified.findings, ...unsigned({ size, signed, isUsed: content.isUsed })]
  const root = Buffer.from(verified.root).toString('hex')
  return { report: { ...log, origin: key.name, size, signed: signedSize, root, more }, findings, content }
}

function unsigned(log: {
  readonly size: number
  readonly signed: FoundSigned
  readonly isUsed: boolean
}): readonly Finding[] {
  const { checkpoint } = log.signed
  if (checkpoint === undefined) return log.isUsed ? [{ kind: 'NO_CHECKPOINT', size: log.size }] : []
  return log.size > checkpoint.size ? [{ kind: 'UNSIGNED_TAIL', n: log.size - checkpoint.size }] : []
}

interface FoundSigned {
  readonly checkpoint: Checkpoint | undefined
  readonly findings: readonly Finding[]
}

/** The largest checkpoint that the key signed, wherever it stands: an old one put back does not hide what was cut off. */
async function findSigned(dir: string, key: NoteKey): Promise<FoundSigned> {
  const paths = logPaths(dir)
  const findings: Finding[] = []
  let best: Checkpoint | undefined
  for (const path of [paths.checkpoint, paths.history]) {
    let bad: Finding | undefined
    for await (const note of notesOf(path)) {
      const verdict = verifyCheckpoint(note, key)
      if (verdict.kind === 'verified') {
        if (best === undefined || verdict.checkpoint.size > best.size) best = verdict.checkpoint
        continue
      }
      const kind = verdict.kind === 'unknown_key' ? 'UNKNOWN_KEY' : 'BAD_SIG'
      bad ??= { kind, file: basename(path), reason: verdict.reason }
    }
    if (bad !== undefined) findings.push(bad)
  }
  return { checkpoint: best, findings }
}

/** None when the file is not there. */
async function* notesOf(path: string): AsyncGenerator<string> {
  try {
    yield* readNotes(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

async function checkLines(
  dir: string,
  basis: { readonly key: NoteKey; readonly signed: Checkpoint | undefined; readonly content: ContentCheck },
) {
  const { signed, content, key } = basis
  using hashes = openHashes(dir)
  const tree = signed === undefined ? undefined : hashes.file?.frontierAt(signed.size)
  const hashesMatch = tree !== undefined && signed !== undefined && Buffer.compare(rootOf(tree), signed.root) === 0
  const hashAt = (seq: number) => hashes.file?.at(seq)
  const check = new LogVerification({ origin: key.name, signed, hashAt, hashesMatch }, (record) => content.take(record))
  const history = keptUpTo(dir, { key, size: signed?.size ?? 0 })
  let kept = await history.next()
  for (const segment of await listSegments(logPaths(dir).segments)) {
    for await (const lines of readLines(segment.path)) {
      for (; kept.done !== true && kept.value.size <= check.lines + lines.length; kept = await history.next()) {
        check.expect(kept.value)
      }
      for (const line of lines) check.line({ bytes: line.bytes, whole: line.kind === 'whole' })
    }
  }
  await history.return(undefined)
  return check.end()
}

/** Kept checkpoints up to a size; larger ones were written while this verification ran. */
async function* keptUpTo(
  dir: string,
  limit: { readonly key: NoteKey; readonly size: number },
): AsyncGenerator<Checkpoint, undefined> {
  for await (const note of notesOf(logPaths(dir).history)) {
    const verdict = verifyCheckpoint(note, limit.key)
    if (verdict.kind === 'verified' && verdict.checkpoint.size <= limit.size) yield verdict.checkpoint
  }
  return undefined
}

function openHashes(dir: string): Disposable & { readonly file: HashFile | undefined } {
  try {
    const file = new HashFile(logPaths(dir).hashes, 'read')
    return { file, [Symbol.dispose]: () => file[Symbol.dispose]() }
  } catch (error) {
    if (!isMissing(error)) throw error
    return { file: undefined, [Symbol.dispose]: () => undefined }
  }
}
