/** Puts entries in order: their lines, hashes and the tree after them, computed before anything is written. */
import { recordLine } from '../../domain/audit/audit-record.ts'
import { HASH_BYTES, appendLeaf, leafHash } from '../../domain/audit/merkle.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'
import type { Entry } from './messages.ts'

export interface Batch {
  readonly firstSeq: number
  readonly timeMs: number
  /** Lines with their ends. */
  readonly bytes: Buffer
  /** Leaf hashes, side by side. */
  readonly leaves: Buffer
  /** The tree with the batch in it. */
  readonly frontier: Frontier
}

const LINE_END = Buffer.from('\n')

export function batchOf(
  entries: readonly Entry[],
  after: { readonly log: string; readonly frontier: Frontier; readonly timeMs: number },
): Batch {
  const firstSeq = after.frontier.size
  const lines: Buffer[] = []
  const leaves = Buffer.allocUnsafe(entries.length * HASH_BYTES)
  let { frontier } = after
  for (const [index, entry] of entries.entries()) {
    const line = Buffer.from(recordLine(entry.parts, { log: after.log, seq: firstSeq + index, timeMs: after.timeMs }))
    const leaf = leafHash(line)
    leaves.set(leaf, index * HASH_BYTES)
    frontier = appendLeaf(frontier, leaf)
    lines.push(line, LINE_END)
  }
  return { firstSeq, timeMs: after.timeMs, bytes: Buffer.concat(lines), leaves, frontier }
}
