/**
 * Finds out how far a log really goes. An unfinished write at the very end was never acknowledged and is cut. Anything else
 * that does not fit (a bad line before good ones, fewer records than were signed, another root than was signed) means that
 * somebody or something changed the log: then nothing is written and start-up is refused, because going on would sign it.
 */
import { closeSync, existsSync, fsyncSync, ftruncateSync, openSync, rmSync, statSync } from 'node:fs'
import { dirname } from 'node:path'
import { BEFORE_USE, parseRecord, settlesOf } from '../../domain/audit/audit-record.ts'
import type { RecordType } from '../../domain/audit/audit-record.ts'
import type { Checkpoint } from '../../domain/audit/checkpoint.ts'
import { EMPTY_FRONTIER, HASH_BYTES, appendLeaf, leafHash, rootOf } from '../../domain/audit/merkle.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'
import { syncFolder } from './durable-file.ts'
import { HashFile } from './hash-file.ts'
import { logPaths } from './log-description.ts'
import type { LogFolder } from './log-folder.ts'
import { OpenDecisions } from './open-decisions.ts'
import { listSegments, readLines, readSum, sumPath } from './segments.ts'
import type { Line, Segment } from './segments.ts'
import { ADVICE, signedState } from './signed-state.ts'

/** Where a writer goes on. */
export interface LogState {
  readonly frontier: Frontier
  readonly lastTimeMs: number
  readonly openDecisions: OpenDecisions
  /** The segment that still grows, and its length; undefined when the next record begins a new one. */
  readonly active: { readonly segment: Segment; readonly bytes: number } | undefined
  readonly signedSize: number
  readonly tornBytes: number
  /** Type of the last record; undefined in an empty log. */
  readonly lastType: RecordType | undefined
}

/** What has been read so far. Owned by one recovery. */
interface Scan {
  frontier: Frontier
  lastTimeMs: number
  lastType: RecordType | undefined
  /** Whether all records are of the log's own life; only such a log may have no checkpoint yet. */
  isUnused: boolean
  active: LogState['active']
  /** Set when the tree passes the size of the checkpoint. */
  rootAtSigned: Buffer | undefined
  tornBytes: number
  /** Leaf hashes of records that were read, and the number of the first of them. */
  firstLeaf: number
  readonly leaves: LeafHashes
  readonly openDecisions: OpenDecisions
}

/** Hashes of one segment as a rule, side by side in one buffer: as objects of their own they would take ten times the room. */
class LeafHashes {
  /** Owned by one scan. Doubles when full. */
  #bytes = Buffer.alloc(1024 * HASH_BYTES)
  count = 0

  push(leaf: Uint8Array): void {
    const start = this.count * HASH_BYTES
    if (start === this.#bytes.length) this.#bytes = Buffer.concat([this.#bytes, Buffer.alloc(start)])
    this.#bytes.set(leaf, start)
    this.count += 1
  }

  bytes(): Uint8Array {
    return this.#bytes.subarray(0, this.count * HASH_BYTES)
  }
}

export async function recoverLog(folder: LogFolder): Promise<LogState> {
  const paths = logPaths(folder.dir)
  const { checkpoint: signed, file } = signedState(folder)
  using hashes = new HashFile(paths.hashes, 'write')
  const scan = await readLog(folder, { signed, hashCount: hashes.count })
  assertAsSigned(folder, scan, { signed, file })
  cutTornTail(scan)
  dropSum(scan)
  hashes.write(scan.firstLeaf, scan.leaves.bytes())
  hashes.trim(scan.frontier.size)
  hashes.sync()
  const { frontier, lastTimeMs, openDecisions, active, tornBytes, lastType } = scan
  return { frontier, lastTimeMs, openDecisions, active, signedSize: signed?.size ?? 0, tornBytes, lastType }
}

async function readLog(
  folder: LogFolder,
  known: { readonly signed: Checkpoint | undefined; readonly hashCount: number },
): Promise<Scan> {
  const scan: Scan = {
    frontier: EMPTY_FRONTIER,
    lastTimeMs: 0,
    lastType: undefined,
    isUnused: true,
    active: undefined,
    rootAtSigned: undefined,
    tornBytes: 0,
    firstLeaf: 0,
    leaves: new LeafHashes(),
    openDecisions: new OpenDecisions(),
  }
  const segments = await listSegments(logPaths(folder.dir).segments)
  for (const [index, segment] of segments.entries()) {
    if (segment.first !== scan.frontier.size) {
      throw new Error(`${segment.path}: begins at record ${segment.first}, expected ${scan.frontier.size}; ${ADVICE}`)
    }
    const isKnown = await takeSum(scan, segment, known)
    const isLast = index === segments.length - 1
    if (!isKnown) await readSegment(scan, segment, { origin: folder.origin, signed: known.signed, isLast })
  }
  return scan
}

/**
 * Takes the state at the end of a sealed segment from its sidecar, if the hash file goes as far. The sidecar is believed no
 * further than the checkpoint reaches: the root that follows from it is compared with the signed one.
 */
async function takeSum(
  scan: Scan,
  segment: Segment,
  known: { readonly signed: Checkpoint | undefined; readonly hashCount: number },
): Promise<boolean> {
  const sum = await readSum(segment)
  const signedSize = known.signed?.size ?? 0
  if (sum === undefined || sum.frontier.size > Math.min(known.hashCount, signedSize) || scan.leaves.count > 0)
    return false
  if (statSync(segment.path).size !== sum.bytes) {
    throw new Error(`${segment.path}: its length is not the ${sum.bytes} bytes at which it was sealed; ${ADVICE}`)
  }
  scan.frontier = sum.frontier
  scan.firstLeaf = sum.frontier.size
  scan.isUnused = false
  scan.lastTimeMs = sum.lastTimeMs
  scan.openDecisions.replaceAll(sum.openDecisions)
  scan.active = undefined
  noteRoot(scan, known.signed)
  return true
}

function noteRoot(scan: Scan, signed: Checkpoint | undefined): void {
  if (scan.frontier.size === signed?.size) scan.rootAtSigned = rootOf(scan.frontier)
}

interface SegmentReading {
  readonly origin: string
  readonly signed: Checkpoint | undefined
  readonly isLast: boolean
}

async function readSegment(scan: Scan, segment: Segment, reading: SegmentReading): Promise<void> {
  let bytes = 0
  let badLine: number | undefined
  for await (const lines of readLines(segment.path)) {
    for (const line of lines) {
      const isGood = takeLine(scan, line, { ...reading, isReading: badLine === undefined })
      if (isGood && badLine !== undefined) {
        throw new Error(`${segment.path}: record ${badLine} is unreadable but records after it are not; ${ADVICE}`)
      }
      if (isGood) bytes += line.bytes.length + 1
      else badLine ??= scan.frontier.size
    }
  }
  scan.tornBytes = statSync(segment.path).size - bytes
  if (scan.tornBytes > 0 && !reading.isLast) {
    throw new Error(`${segment.path}: record ${badLine ?? scan.frontier.size} is unreadable; ${ADVICE}`)
  }
  scan.active = { segment, bytes }
}

/** A closed log goes on with a start and with nothing else. */
const AFTER_CLOSE: ReadonlySet<string> = new Set(['open', 'recover'])

/** Whether the line is a record; takes it as the next one while nothing bad has been read. */
function takeLine(
  scan: Scan,
  line: Line,
  reading: { readonly origin: string; readonly signed: Checkpoint | undefined; readonly isReading: boolean },
): boolean {
  const record = line.kind === 'whole' ? parseRecord(line.bytes) : undefined
  if (record === undefined || record.log !== reading.origin) return false
  if (!reading.isReading) return true
  if (record.seq !== scan.frontier.size) {
    throw new Error(`${reading.origin}: record ${record.seq} stands where ${scan.frontier.size} should; ${ADVICE}`)
  }
  if (scan.lastType === 'close' && !AFTER_CLOSE.has(record.type)) {
    throw new Error(`${reading.origin}: record ${record.seq} was added after the log was closed; ${ADVICE}`)
  }
  const leaf = leafHash(line.bytes)
  scan.leaves.push(leaf)
  scan.frontier = appendLeaf(scan.frontier, leaf)
  scan.lastTimeMs = Date.parse(record.t)
  scan.lastType = record.type
  scan.isUnused &&= BEFORE_USE.some((type) => type === record.type)
  scan.openDecisions.apply(settlesOf(record))
  noteRoot(scan, reading.signed)
  return true
}

function assertAsSigned(
  folder: LogFolder,
  scan: Scan,
  { signed, file }: { readonly signed: Checkpoint | undefined; readonly file: string },
): void {
  const { size } = scan.frontier
  const { checkpoint } = logPaths(folder.dir)
  if (!existsSync(checkpoint) && !scan.isUnused) {
    throw new Error(`${checkpoint}: missing although the log has ${size} records; ${ADVICE}`)
  }
  if (signed === undefined) return
  if (size < signed.size) {
    throw new Error(`${folder.dir}: has ${size} records but ${signed.size} were signed, as ${file} says; ${ADVICE}`)
  }
  if (scan.rootAtSigned === undefined || Buffer.compare(scan.rootAtSigned, signed.root) !== 0) {
    throw new Error(`${folder.dir}: the first ${signed.size} records are not those that were signed; ${ADVICE}`)
  }
}

function cutTornTail(scan: Scan): void {
  if (scan.tornBytes === 0 || scan.active === undefined) return
  const fd = openSync(scan.active.segment.path, 'r+')
  try {
    ftruncateSync(fd, scan.active.bytes)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** A segment that grows has no sidecar: one from before would be taken for its end, as a change of its length. */
function dropSum(scan: Scan): void {
  if (scan.active === undefined) return
  const path = sumPath(scan.active.segment)
  if (!existsSync(path)) return
  rmSync(path)
  syncFolder(dirname(path))
}
