import { createHash } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  EMPTY_FRONTIER,
  appendLeaf,
  consistencyProof,
  inclusionProof,
  leafHash,
  rangeRoot,
  rootOf,
  verifyConsistency,
  verifyInclusion,
} from '../../../src/domain/audit/merkle.ts'

const SIZE_MAX = 70
const records = Array.from({ length: SIZE_MAX }, (_, i) => Buffer.from(`record ${i}`))
const leaves = records.map(leafHash)
const leafAt = (index: number) => leaves[index]!

/** RFC 6962 section 2.1, written down as it stands there. */
function definedRoot(entries: readonly Buffer[]): Buffer {
  const sha256 = (...parts: readonly Buffer[]) => createHash('sha256').update(Buffer.concat(parts)).digest()
  if (entries.length === 0) return sha256()
  if (entries.length === 1) return sha256(Buffer.of(0), entries[0]!)
  let split = 1
  while (split * 2 < entries.length) split *= 2
  return sha256(Buffer.of(1), definedRoot(entries.slice(0, split)), definedRoot(entries.slice(split)))
}

const roots = Array.from({ length: SIZE_MAX + 1 }, (_, size) => definedRoot(records.slice(0, size)))

function flipped(hash: Buffer): Buffer {
  const copy = Buffer.from(hash)
  copy[7]! ^= 1
  return copy
}

describe('the Merkle tree', () => {
  it('has the root that RFC 6962 defines at every size, appended or read', () => {
    let frontier = EMPTY_FRONTIER
    for (let size = 0; size <= SIZE_MAX; size += 1) {
      expect(rootOf(frontier)).toEqual(roots[size])
      expect(rangeRoot(leafAt, 0, size)).toEqual(roots[size])
      if (size < SIZE_MAX) frontier = appendLeaf(frontier, leafAt(size))
    }
  })

  it('knows the test vectors of Certificate Transparency', () => {
    const inputs = ['', '00', '10', '2021', '3031', '40414243', '5051525354555657', '606162636465666768696a6b6c6d6e6f']
    const tree = inputs.map((hex) => leafHash(Buffer.from(hex, 'hex')))
    const rootAt = (size: number) => rangeRoot((index) => tree[index]!, 0, size).toString('hex')
    expect(rootAt(0)).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855')
    expect(rootAt(1)).toBe('6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d')
    expect(rootAt(8)).toBe('5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328')
  })

  it('keeps an earlier frontier as it was when another record is appended to it', () => {
    const before = [0, 1, 2].reduce((frontier, index) => appendLeaf(frontier, leafAt(index)), EMPTY_FRONTIER)
    appendLeaf(before, leafAt(3))
    expect(rootOf(before)).toEqual(roots[3])
  })

  it('proves every record at every size, to that record, place, size and root alone', () => {
    for (let size = 1; size <= SIZE_MAX; size += 1) {
      for (let index = 0; index < size; index += 1) {
        const proof = inclusionProof(leafAt, index, size)
        const claim = { leaf: leafAt(index), index, size, root: roots[size]! }
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(size)))
        expect(verifyInclusion(claim, proof)).toBe(true)
        expect(verifyInclusion({ ...claim, leaf: flipped(leafAt(index)) }, proof)).toBe(false)
        expect(verifyInclusion({ ...claim, root: roots[size - 1]! }, proof)).toBe(false)
        expect(verifyInclusion({ ...claim, index: size }, proof)).toBe(false)
        expect(verifyInclusion(claim, [...proof, leafAt(0)])).toBe(false)
        expect(verifyInclusion(claim, proof.slice(1))).toBe(proof.length === 0)
        expect(verifyInclusion({ ...claim, index: (index + 1) % size }, proof)).toBe(size === 1)
      }
    }
  })

  it('proves every earlier tree to be the beginning of every later one, and no other tree', () => {
    for (let size = 0; size <= SIZE_MAX; size += 1) {
      for (let oldSize = 0; oldSize <= size; oldSize += 1) {
        const proof = consistencyProof(leafAt, oldSize, size)
        const claim = { oldSize, size, oldRoot: roots[oldSize]!, root: roots[size]! }
        expect(verifyConsistency(claim, proof)).toBe(true)
        expect(verifyConsistency({ ...claim, oldRoot: flipped(claim.oldRoot) }, proof)).toBe(false)
        expect(verifyConsistency({ ...claim, root: flipped(claim.root) }, proof)).toBe(oldSize === 0)
        for (const [i, hash] of proof.entries()) {
          expect(verifyConsistency(claim, proof.with(i, flipped(hash)))).toBe(false)
        }
        expect(verifyConsistency(claim, [...proof, leafAt(0)])).toBe(false)
      }
    }
  })
})
