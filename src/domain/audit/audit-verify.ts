/**
 * Compares the lines of a log with what was signed, one line at a time, in memory that does not grow with the log, and names
 * the record that is wrong. Two things are kept apart: whether the log is genuine is decided by the root over the lines as they
 * stand; which record is at fault is told by comparing each line with its hash in the hash file, whose own root was compared
 * with the signed one. A mistake in the second can name the wrong record but never call a changed log good.
 */
import { parseRecord } from './audit-record.ts'
import type { AuditRecord } from './audit-record.ts'
import type { Finding } from './audit-verify-findings.ts'
import { AuditPlaces } from './audit-verify-places.ts'
import type { SeenLine } from './audit-verify-places.ts'
import type { Checkpoint } from './checkpoint.ts'
import { EMPTY_FRONTIER, appendLeaf, leafHash, rootOf } from './merkle.ts'
import type { Frontier } from './merkle.ts'

/** What is believed before the first line is read. */
export interface VerifyBasis {
  readonly origin: string
  /** The largest checkpoint with a good signature; undefined when there is none. */
  readonly signed: Checkpoint | undefined
  /** Hash of a record as the hash file has it; undefined beyond its end. */
  readonly hashAt: (seq: number) => Uint8Array | undefined
  /** Whether the hash file's own root is the signed one. */
  readonly hashesMatch: boolean
}

export interface Verified {
  /** Lines that are records in their place. */
  readonly size: number
  readonly root: Uint8Array
  readonly findings: readonly Finding[]
  /** Findings beyond those that are listed. */
  readonly more: number
}

/** A line as it was read; `whole` is false at the end of a file without line end, and for a line longer than any record. */
export interface ReadLine {
  readonly bytes: Uint8Array
  readonly whole: boolean
}

export class LogVerification {
  readonly #basis: VerifyBasis
  readonly #places: AuditPlaces
  readonly #onRecord: (record: AuditRecord) => void
  /** All below is owned by this object; the tree is over the lines as they stand, in that order. */
  #frontier: Frontier = EMPTY_FRONTIER
  #rootAtSigned: Uint8Array | undefined
  /** Checkpoints whose sizes are not reached yet. */
  readonly #kept: Checkpoint[] = []
  /** Sizes between which the tree departs from the kept checkpoints. */
  #goodUntil = 0
  #badAt: number | undefined

  /** `onRecord` is told each record that is what it says, in the order of the file. */
  constructor(basis: VerifyBasis, onRecord: (record: AuditRecord) => void) {
    this.#basis = basis
    this.#onRecord = onRecord
    this.#places = new AuditPlaces(basis.signed?.size ?? 0)
  }

  /** The tree over the lines taken so far, whatever they are. */
  get frontier(): Frontier {
    return this.#frontier
  }

  /** Another checkpoint with a good signature, of a size that is not reached yet; in order of size. */
  expect(kept: Checkpoint): void {
    this.#kept.push(kept)
  }

  line(read: ReadLine): void {
    const record = read.whole ? parseRecord(read.bytes) : undefined
    const leaf = leafHash(read.bytes)
    const seen: SeenLine = { seq: record?.seq, ...this.#judge(record, leaf) }
    this.#places.take(seen)
    if (seen.isGenuine && record !== undefined) this.#onRecord(record)
    if (!read.whole) return
    this.#frontier = appendLeaf(this.#frontier, leaf)
    this.#compareRoots()
  }

  /** Below the signed size the hash decides; above it, or where the hash file has none, a well-formed record of this log. */
  #judge(record: AuditRecord | undefined, leaf: Uint8Array): Omit<SeenLine, 'seq'> {
    if (record === undefined || record.log !== this.#basis.origin) return { isGenuine: false, isProven: false }
    const signedSize = this.#basis.signed?.size ?? 0
    const expected = record.seq < signedSize ? this.#basis.hashAt(record.seq) : undefined
    const isProven = expected !== undefined && Buffer.compare(leaf, expected) === 0
    return { isGenuine: expected === undefined || isProven, isProven }
  }

  #compareRoots(): void {
    const { signed } = this.#basis
    const { size } = this.#frontier
    if (size === signed?.size) this.#rootAtSigned = rootOf(this.#frontier)
    for (let [kept] = this.#kept; kept !== undefined && kept.size <= size; [kept] = this.#kept) {
      this.#kept.shift()
      const isSame = kept.size === size && Buffer.compare(rootOf(this.#frontier), kept.root) === 0
      if (isSame && this.#badAt === undefined) this.#goodUntil = size
      if (!isSame) this.#badAt ??= kept.size
    }
  }

  end(): Verified {
    const { size, list } = this.#places.end()
    const { signed, hashesMatch } = this.#basis
    const verified = { size, root: rootOf(this.#frontier), more: list.more }
    if (signed === undefined) return { ...verified, findings: list.listed }
    const isRootSigned = this.#rootAtSigned !== undefined && Buffer.compare(this.#rootAtSigned, signed.root) === 0
    const recordsMatch = isRootSigned && this.#badAt === undefined
    // Where the root proves the records, what the hash file says against one of them is the hash file's own fault.
    const isDisproved = (finding: Finding) => recordsMatch && finding.kind === 'ALTERED' && finding.seq < signed.size
    const findings = list.listed.filter((finding) => !isDisproved(finding))
    const isExplained = hashesMatch && (recordsMatch || findings.length > 0)
    if (!isExplained) {
      const to = recordsMatch ? signed.size : (this.#badAt ?? signed.size)
      const from = recordsMatch ? 0 : this.#goodUntil
      findings.push({ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', from, to: Math.max(from, to - 1), recordsMatch })
    }
    return { ...verified, findings }
  }
}
