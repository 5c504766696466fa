import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { recordLine, recordParts } from '../../../src/domain/audit/audit-record.ts'
import { LogVerification } from '../../../src/domain/audit/audit-verify.ts'
import type { VerifyBasis } from '../../../src/domain/audit/audit-verify.ts'
import { leafHash, rangeRoot } from '../../../src/domain/audit/merkle.ts'

const ORIGIN = 'gw.example/audit/log-a'
const SIZE = 14

const lines = Array.from({ length: SIZE }, (_, seq) =>
  Buffer.from(
    recordLine(recordParts({ v: 1, type: 'policy', id: `id-${seq}`, act: { tenant: 'a' } }), {
      log: ORIGIN,
      seq,
      timeMs: 1_700_000_000_000 + seq,
    }),
  ),
)
const leaves = lines.map(leafHash)

function checkpointAt(size: number) {
  return { origin: ORIGIN, size, root: rangeRoot((index) => leaves[index]!, 0, size) }
}

const sound: VerifyBasis = {
  origin: ORIGIN,
  signed: checkpointAt(SIZE),
  hashAt: (seq) => leaves[seq],
  hashesMatch: true,
}

function fileOf(of: readonly Buffer[]): Buffer {
  return Buffer.concat(of.flatMap((line) => [line, Buffer.from('\n')]))
}

function verify(file: Buffer, basis: Partial<VerifyBasis> = {}, history: readonly number[] = []) {
  const check = new LogVerification({ ...sound, ...basis }, () => undefined)
  for (const size of history) check.expect(checkpointAt(size))
  let start = 0
  for (let end = file.indexOf(10); end !== -1; end = file.indexOf(10, start)) {
    check.line({ bytes: file.subarray(start, end), whole: true })
    start = end + 1
  }
  if (start < file.length) check.line({ bytes: file.subarray(start), whole: false })
  return check.end()
}

const place = fc.nat({ max: SIZE - 1 })

/** Every record that a finding names. */
function named(findings: readonly object[]): readonly number[] {
  return findings.flatMap((finding) => {
    if ('seq' in finding) return [Number(finding.seq)]
    if ('to' in finding && 'from' in finding) {
      const from = Number(finding.from)
      return Array.from({ length: Number(finding.to) - from + 1 }, (_, i) => from + i)
    }
    return 'have' in finding ? [Number(finding.have)] : []
  })
}

describe('verification of lines against a signed root', () => {
  it('finds nothing in a log as it was signed', () => {
    expect(verify(fileOf(lines), {}, [3, 9, SIZE])).toMatchObject({ size: SIZE, findings: [], more: 0 })
  })

  it('names the record of every byte that is flipped, whichever bit', () => {
    const file = fileOf(lines)
    let seq = 0
    for (let at = 0; at < file.length; at += 1) {
      for (const bit of [0, 2, 3, 6]) {
        const copy = Buffer.from(file)
        copy[at]! ^= 1 << bit
        const { findings } = verify(copy)
        expect(named(findings), `byte ${at} of record ${seq}: ${JSON.stringify(findings)}`).toContain(seq)
        const others = named(findings).filter((name) => name !== seq && name !== seq + 1)
        expect(others, `byte ${at} of record ${seq}, bit ${bit}: ${JSON.stringify(findings)}`).toEqual([])
      }
      if (file[at] === 10) seq += 1
    }
  })

  it('names exactly the record that was taken out', () => {
    for (let seq = 0; seq < SIZE; seq += 1) {
      const { findings } = verify(fileOf(lines.toSpliced(seq, 1)))
      const last = { kind: 'TRUNCATED', have: SIZE - 1, signed: SIZE }
      expect(findings).toEqual([seq === SIZE - 1 ? last : { kind: 'MISSING', from: seq, to: seq }])
    }
  })

  it('names both of two records that changed places', () => {
    fc.assert(
      fc.property(fc.uniqueArray(place, { minLength: 2, maxLength: 2 }), ([a = 0, b = 0]) => {
        const { findings } = verify(fileOf(lines.with(a, lines[b]!).with(b, lines[a]!)))
        expect(named(findings)).toEqual(expect.arrayContaining([a, b]))
        expect(findings.every(({ kind }) => kind === 'REORDERED')).toBe(true)
        expect(named(findings).every((seq) => seq >= Math.min(a, b) && seq <= Math.max(a, b))).toBe(true)
      }),
    )
  })

  it('names exactly the record that is there twice', () => {
    fc.assert(
      fc.property(place, fc.nat({ max: SIZE }), (seq, at) => {
        const { findings } = verify(fileOf(lines.toSpliced(at, 0, lines[seq]!)))
        expect(findings).toEqual([{ kind: 'DUPLICATE', seq }])
      }),
    )
  })

  it('says how much is left of a log that was cut, at every byte', () => {
    const file = fileOf(lines)
    for (let bytes = 0; bytes < file.length; bytes += 1) {
      const cut = file.subarray(0, bytes)
      const have = cut.filter((byte) => byte === 10).length
      const { findings } = verify(Buffer.from(cut))
      expect(named(findings)).toContain(have)
      expect(findings.some(({ kind }) => kind === 'TRUNCATED' || kind === 'CORRUPT_LINE')).toBe(true)
    }
  })

  it('never calls any other file good', () => {
    const edit = fc.oneof(
      fc.record({ kind: fc.constant('out' as const), at: place, other: place }),
      fc.record({ kind: fc.constant('in' as const), at: place, other: place }),
      fc.record({ kind: fc.constant('swap' as const), at: place, other: place }),
      fc.record({ kind: fc.constant('junk' as const), at: place, other: place }),
    )
    const apply = (of: readonly Buffer[], { kind, at, other }: { kind: string; at: number; other: number }) => {
      if (kind === 'out') return of.toSpliced(at, 1)
      if (kind === 'in') return of.toSpliced(at, 0, lines[other]!)
      if (kind === 'junk') return of.toSpliced(at, other % 2, Buffer.from(`{"seq":${other}}`))
      const [a, b] = [of[at], of[other]]
      return a === undefined || b === undefined ? of : of.with(at, b).with(other, a)
    }
    fc.assert(
      fc.property(fc.array(edit, { minLength: 1, maxLength: 6 }), fc.boolean(), (edits, hashesMatch) => {
        const file = fileOf(edits.reduce(apply, lines as readonly Buffer[]))
        fc.pre(!file.equals(fileOf(lines)))
        const { findings } = verify(file, { hashesMatch })
        expect(findings.length).toBeGreaterThan(0)
      }),
      { numRuns: 500 },
    )
  })

  it('names the record when the hash file was changed to fit it', () => {
    const forged = Buffer.from(lines[5]!.toString().replace('"tenant":"a"', '"tenant":"b"'))
    const hashAt = (seq: number) => (seq === 5 ? leafHash(forged) : leaves[seq])
    const { findings } = verify(fileOf(lines.with(5, forged)), { hashAt, hashesMatch: false }, [3, 9])
    expect(findings).toEqual([{ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', from: 3, to: 8, recordsMatch: false }])
  })

  it('blames the hash file alone when the records are as signed', () => {
    const hashAt = (seq: number) => (seq === 5 ? leaves[6] : leaves[seq])
    const { findings } = verify(fileOf(lines), { hashAt, hashesMatch: false })
    expect(findings).toEqual([{ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', from: 0, to: SIZE - 1, recordsMatch: true }])
  })

  it('verifies without a hash file at all', () => {
    const hashAt = () => undefined
    expect(verify(fileOf(lines), { hashAt, hashesMatch: false }).findings).toMatchObject([{ recordsMatch: true }])
    const { findings } = verify(fileOf(lines.toSpliced(4, 1)), { hashAt, hashesMatch: false })
    expect(findings).toContainEqual({ kind: 'MISSING', from: 4, to: 4 })
  })

  it('finds a kept checkpoint that the records contradict', () => {
    const check = new LogVerification(sound, () => undefined)
    check.expect({ origin: ORIGIN, size: 6, root: Buffer.alloc(32) })
    for (const line of lines) check.line({ bytes: line, whole: true })
    expect(check.end().findings).toMatchObject([{ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', recordsMatch: false }])
  })

  it('takes records beyond the checkpoint, and an unfinished line after them, as a log that is being written', () => {
    const basis = { signed: checkpointAt(9), hashAt: (seq: number) => (seq < 11 ? leaves[seq] : undefined) }
    const file = Buffer.concat([fileOf(lines), lines[0]!.subarray(0, 20)])
    expect(verify(file, basis)).toMatchObject({ size: SIZE, findings: [] })
  })

  it('finds holes and bad lines beyond the checkpoint too, when records follow them', () => {
    const basis = { signed: checkpointAt(9) }
    expect(verify(fileOf(lines.toSpliced(11, 1)), basis).findings).toEqual([{ kind: 'MISSING', from: 11, to: 11 }])
    expect(verify(fileOf(lines.with(11, Buffer.from('x'))), basis).findings).toEqual([
      { kind: 'CORRUPT_LINE', seq: 11 },
    ])
  })

  it('does not take a record of another log', () => {
    const foreign = Buffer.from(lines[12]!.toString().replace('log-a', 'log-b'))
    expect(verify(fileOf(lines.with(12, foreign)), { signed: checkpointAt(9) }).findings).toEqual([
      { kind: 'ALTERED', seq: 12 },
    ])
  })
})
