/**
 * The Merkle tree of RFC 6962 section 2.1 over SHA-256: appended to in O(1) amortised, proven in O(log n) hashes. Leaves and
 * inner nodes are hashed under different prefixes, so that no record can be passed off as an inner node.
 */
import { hash } from 'node:crypto'

export const HASH_BYTES = 32

const LEAF_PREFIX = 0x00
const NODE_PREFIX = 0x01

export function leafHash(record: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(1 + record.length)
  input[0] = LEAF_PREFIX
  input.set(record, 1)
  return hash('sha256', input, 'buffer')
}

function nodeHash(left: Uint8Array, right: Uint8Array): Buffer {
  const input = Buffer.allocUnsafe(1 + 2 * HASH_BYTES)
  input[0] = NODE_PREFIX
  input.set(left, 1)
  input.set(right, 1 + HASH_BYTES)
  return hash('sha256', input, 'buffer')
}

/**
 * All that appending needs to know of a tree: the roots of its complete subtrees, largest first, one for each bit set in
 * `size`. A value: appending gives a new one, so a batch that fails is forgotten by keeping the old one.
 */
export interface Frontier {
  readonly size: number
  readonly peaks: readonly Uint8Array[]
}

export const EMPTY_FRONTIER: Frontier = { size: 0, peaks: [] }

export function appendLeaf(frontier: Frontier, leaf: Uint8Array): Frontier {
  const peaks = [...frontier.peaks]
  let node = leaf
  // Each trailing one bit of the old size is a complete subtree as large as the one being carried.
  for (let size = frontier.size; size % 2 === 1; size = (size - 1) / 2) {
    const left = peaks.pop()
    if (left === undefined) throw new RangeError(`frontier of size ${frontier.size} has too few peaks`)
    node = nodeHash(left, node)
  }
  peaks.push(node)
  return { size: frontier.size + 1, peaks }
}

export function rootOf(frontier: Frontier): Buffer {
  return foldPeaks(frontier.peaks)
}

/** Roots of complete subtrees, largest first, joined from the right as RFC 6962 does for a size that is no power of two. */
function foldPeaks(peaks: readonly Uint8Array[]): Buffer {
  let root: Uint8Array | undefined
  for (const peak of peaks.toReversed()) root = root === undefined ? peak : nodeHash(peak, root)
  return root === undefined ? hash('sha256', '', 'buffer') : Buffer.from(root)
}

/** Leaf hash of an index; must answer for each index below the size that is asked about. */
export type LeafAt = (index: number) => Uint8Array

/** Root over the leaves `from` (inclusive) to `to` (exclusive). Reads each once, in order, in O(log n) memory. */
export function rangeRoot(leafAt: LeafAt, from: number, to: number): Buffer {
  let frontier = EMPTY_FRONTIER
  for (let index = from; index < to; index += 1) frontier = appendLeaf(frontier, leafAt(index))
  return rootOf(frontier)
}

/** Hashes that lead from leaf `index` to the root of the first `size` leaves, lowest first (RFC 6962 section 2.1.1). */
export function inclusionProof(leafAt: LeafAt, index: number, size: number): readonly Buffer[] {
  if (!(index >= 0 && index < size)) throw new RangeError(`record ${index} is not in a tree of ${size}`)
  const proof: Buffer[] = []
  let [low, high] = [0, size]
  while (high - low > 1) {
    const middle = low + splitOf(high - low)
    const isLeft = index < middle
    proof.push(isLeft ? rangeRoot(leafAt, middle, high) : rangeRoot(leafAt, low, middle))
    if (isLeft) high = middle
    else low = middle
  }
  return proof.toReversed()
}

/** The largest power of two below `count`. Multiplied, not shifted: a log outgrows 32 bits before it outgrows its disk. */
function splitOf(count: number): number {
  let split = 1
  while (split * 2 < count) split *= 2
  return split
}

export function verifyInclusion(
  claim: { readonly leaf: Uint8Array; readonly index: number; readonly size: number; readonly root: Uint8Array },
  proof: readonly Uint8Array[],
): boolean {
  const { index, size } = claim
  if (!(index >= 0 && index < size)) return false
  const rest = [...proof]
  const root = rootAlong(claim.leaf, { index, size, rest })
  return root !== undefined && rest.length === 0 && Buffer.compare(root, claim.root) === 0
}

/** Takes the hashes it needs from the end of `rest`, where those nearest to the root stand; undefined when they run out. */
function rootAlong(
  leaf: Uint8Array,
  at: { readonly index: number; readonly size: number; readonly rest: Uint8Array[] },
): Uint8Array | undefined {
  if (at.size === 1) return leaf
  const sibling = at.rest.pop()
  if (sibling?.length !== HASH_BYTES) return undefined
  const split = splitOf(at.size)
  const isLeft = at.index < split
  const inner = isLeft
    ? rootAlong(leaf, { index: at.index, size: split, rest: at.rest })
    : rootAlong(leaf, { index: at.index - split, size: at.size - split, rest: at.rest })
  if (inner === undefined) return undefined
  return isLeft ? nodeHash(inner, sibling) : nodeHash(sibling, inner)
}

/** Hashes which show that the first `oldSize` of `size` leaves are the tree they were (RFC 6962 section 2.1.2). */
export function consistencyProof(leafAt: LeafAt, oldSize: number, size: number): readonly Buffer[] {
  if (!(oldSize >= 0 && oldSize <= size)) throw new RangeError(`a tree of ${size} has no earlier size ${oldSize}`)
  if (oldSize === 0 || oldSize === size) return []
  const proof: Buffer[] = []
  let [low, high] = [0, size]
  let isOldRoot = true
  while (oldSize !== high) {
    const middle = low + splitOf(high - low)
    if (oldSize <= middle) {
      proof.push(rangeRoot(leafAt, middle, high))
      high = middle
    } else {
      proof.push(rangeRoot(leafAt, low, middle))
      low = middle
      isOldRoot = false
    }
  }
  if (!isOldRoot) proof.push(rangeRoot(leafAt, low, high))
  return proof.toReversed()
}

interface Roots {
  readonly before: Uint8Array
  readonly after: Uint8Array
}

export function verifyConsistency(
  claim: {
    readonly oldSize: number
    readonly oldRoot: Uint8Array
    readonly size: number
    readonly root: Uint8Array
  },
  proof: readonly Uint8Array[],
): boolean {
  const { oldSize, size, oldRoot } = claim
  if (!(oldSize >= 0 && oldSize <= size)) return false
  const rest = [...proof]
  if (oldSize === 0) return rest.length === 0 && Buffer.compare(oldRoot, rangeRoot(noLeaf, 0, 0)) === 0
  const roots = rootsAlong({ oldSize, size, rest, oldRoot })
  if (roots === undefined || rest.length > 0) return false
  return Buffer.compare(roots.before, oldRoot) === 0 && Buffer.compare(roots.after, claim.root) === 0
}

function noLeaf(): Uint8Array {
  throw new RangeError('an empty tree has no leaves')
}

/** `oldRoot` stands in for the subtree that is the whole old tree; below a right turn that subtree is in the proof. */
function rootsAlong(at: {
  readonly oldSize: number
  readonly size: number
  readonly rest: Uint8Array[]
  readonly oldRoot: Uint8Array | undefined
}): Roots | undefined {
  if (at.oldSize === at.size) {
    const node = at.oldRoot ?? at.rest.pop()
    return node?.length === HASH_BYTES ? { before: node, after: node } : undefined
  }
  const sibling = at.rest.pop()
  if (sibling?.length !== HASH_BYTES) return undefined
  const split = splitOf(at.size)
  if (at.oldSize <= split) {
    const left = rootsAlong({ ...at, size: split })
    return left && { before: left.before, after: nodeHash(left.after, sibling) }
  }
  const right = rootsAlong({ oldSize: at.oldSize - split, size: at.size - split, rest: at.rest, oldRoot: undefined })
  return right && { before: nodeHash(sibling, right.before), after: nodeHash(sibling, right.after) }
}
