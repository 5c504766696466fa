/**
 * Segments: files of lines named for their first record, read in constant memory. A segment that will not grow any more
 * has a `.sum` beside it with the state of the log at its end, so that start-up need not read it again.
 */
import { open, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { RECORD_BYTES_MAX } from '../../domain/audit/audit-record.ts'
import { HASH_BYTES } from '../../domain/audit/merkle.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'
import { isMissing } from './durable-file.ts'

export interface Segment {
  readonly path: string
  /** Sequence number of its first record, as its name says. */
  readonly first: number
}

/** Wide enough for every safe integer, so that names sort as numbers. */
const NAME_DIGITS = 16
const NAME_PATTERN = /^\d{16}\.jsonl$/u

export function segmentAt(folder: string, first: number): Segment {
  return { path: join(folder, `${String(first).padStart(NAME_DIGITS, '0')}.jsonl`), first }
}

export async function listSegments(folder: string): Promise<readonly Segment[]> {
  const names = await readdir(folder).catch((error: unknown) => {
    if (isMissing(error)) return []
    throw error
  })
  // Names of one width: their order as text is the order of their numbers.
  const segments = names.filter((name) => NAME_PATTERN.test(name))
  segments.sort((a, b) => (a < b ? -1 : 1))
  return segments.map((name) => ({ path: join(folder, name), first: Number.parseInt(name, 10) }))
}

export interface Line {
  readonly bytes: Buffer
  /** `unterminated`: the file ends before the line does. `too_long`: longer than any record; its bytes are dropped. */
  readonly kind: 'whole' | 'unterminated' | 'too_long'
}

/** Holds the longest record several times over; larger reads gain nothing measurable. */
const CHUNK_BYTES = 256 * 1024
const LINE_END = 0x0a

/** The lines of a file in order, as many at a time as one read gives. */
export async function* readLines(path: string): AsyncGenerator<readonly Line[]> {
  const file = await open(path, 'r')
  try {
    const splitter = createSplitter()
    for (;;) {
      const { bytesRead, buffer } = await file.read(Buffer.allocUnsafe(CHUNK_BYTES), 0, CHUNK_BYTES)
      if (bytesRead === 0) break
      yield splitter.push(buffer.subarray(0, bytesRead))
    }
    yield splitter.end()
  } finally {
    await file.close()
  }
}

function createSplitter() {
  let carried: Buffer = Buffer.alloc(0)
  let isSkipping = false
  const push = (chunk: Buffer): readonly Line[] => {
    const data = carried.length === 0 ? chunk : Buffer.concat([carried, chunk])
    const lines: Line[] = []
    let start = 0
    for (let end = data.indexOf(LINE_END); end !== -1; end = data.indexOf(LINE_END, start)) {
      const isLong = isSkipping || end - start > RECORD_BYTES_MAX
      lines.push(
        isLong ? { bytes: Buffer.alloc(0), kind: 'too_long' } : { bytes: data.subarray(start, end), kind: 'whole' },
      )
      isSkipping = false
      start = end + 1
    }
    carried = data.subarray(start)
    if (carried.length > RECORD_BYTES_MAX) isSkipping = true
    if (isSkipping) carried = Buffer.alloc(0)
    return lines
  }
  const end = (): readonly Line[] => {
    if (isSkipping) return [{ bytes: Buffer.alloc(0), kind: 'too_long' }]
    return carried.length === 0 ? [] : [{ bytes: carried, kind: 'unterminated' }]
  }
  return { push, end }
}

/** The state of the log at the end of a segment. */
export interface SegmentSum {
  readonly frontier: Frontier
  readonly bytes: number
  readonly lastTimeMs: number
  /** Admitted decisions that were not settled. */
  readonly openDecisions: readonly string[]
}

export function sumPath(segment: Segment): string {
  return segment.path.replace(/\.jsonl$/u, '.sum')
}

export function formatSum(segment: Segment, sum: SegmentSum): string {
  const peaks = sum.frontier.peaks.map((peak) => Buffer.from(peak).toString('base64'))
  const { bytes, lastTimeMs, openDecisions } = sum
  return `${JSON.stringify({ first: segment.first, size: sum.frontier.size, bytes, lastTimeMs, peaks, openDecisions })}\n`
}

/** Undefined when there is none or it is unreadable: then the segment is read instead. */
export async function readSum(segment: Segment): Promise<SegmentSum | undefined> {
  try {
    const value: unknown = JSON.parse(await readFile(sumPath(segment), 'utf8'))
    return parseSum(segment, value)
  } catch (error) {
    if (isMissing(error) || error instanceof SyntaxError) return undefined
    throw error
  }
}

function parseSum(segment: Segment, value: unknown): SegmentSum | undefined {
  if (typeof value !== 'object' || value === null) return undefined
  const { first, size, bytes, lastTimeMs, peaks, openDecisions }: Record<string, unknown> = { ...value }
  if (first !== segment.first || !isCount(size) || !isCount(bytes) || !isCount(lastTimeMs)) return undefined
  if (!isTexts(peaks) || !isTexts(openDecisions)) return undefined
  const hashes = peaks.map((peak) => Buffer.from(peak, 'base64'))
  if (hashes.some((hash) => hash.length !== HASH_BYTES) || hashes.length !== onesIn(size)) return undefined
  return { frontier: { size, peaks: hashes }, bytes, lastTimeMs, openDecisions }
}

/** A tree of `size` leaves has a complete subtree for each bit that is set. */
function onesIn(size: number): number {
  return size.toString(2).replaceAll('0', '').length
}

function isCount(value: unknown): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0
}

function isTexts(value: unknown): value is readonly string[] {
  return Array.isArray(value) && value.every((item) => typeof item === 'string')
}
