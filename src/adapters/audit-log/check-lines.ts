import { stat } from 'node:fs/promises'
import type { AuditRecord } from '../../domain/audit/audit-record.ts'
import { LogVerification } from '../../domain/audit/audit-verify.ts'
import type { Verified } from '../../domain/audit/audit-verify.ts'
import { severityOf } from '../../domain/audit/audit-verify-findings.ts'
import type { Checkpoint, NoteKey } from '../../domain/audit/checkpoint.ts'
import { rootOf } from '../../domain/audit/merkle.ts'
import { isMissing } from './durable-file.ts'
import { HashFile } from './hash-file.ts'
import { logPaths } from './log-description.ts'
import { listSegments, readLines } from './segments.ts'
import { signedUpTo } from './signed-notes.ts'
import type { SignedNotes } from './signed-notes.ts'
import { SumCheck } from './sum-check.ts'

export interface LinesBasis {
  readonly key: NoteKey
  readonly signed: SignedNotes
  readonly onRecord: (record: AuditRecord) => void
}

/** Every line of a log against its checkpoints, and the sidecars against the lines. */
export async function checkLines(dir: string, { key, signed, onRecord }: LinesBasis): Promise<Verified> {
  // Without any checkpoint of its own the log is held against the one that is known outside.
  const { checkpoint: largest = signed.outside, outside } = signed
  const sums = new SumCheck()
  using hashes = openHashes(dir)
  const hashAt = (seq: number) => hashes.file?.at(seq)
  const hashesMatch = areSigned(hashes.file, largest)
  const check = new LogVerification({ origin: key.name, signed: largest, hashAt, hashesMatch }, (record) => {
    onRecord(record)
    sums.take(record)
  })
  const expected = signedUpTo(dir, { key, size: largest?.size ?? 0, outside })
  let next = await expected.next()
  for (const segment of await listSegments(logPaths(dir).segments)) {
    const sum = await sums.read(segment)
    for await (const lines of readLines(segment.path)) {
      const reach = check.frontier.size + lines.length
      for (; next.done !== true && next.value.size <= reach; next = await expected.next()) check.expect(next.value)
      for (const line of lines) check.line({ bytes: line.bytes, whole: line.kind === 'whole' })
    }
    if (sum !== undefined) {
      sums.compare(segment, sum, { frontier: check.frontier, bytes: (await stat(segment.path)).size })
    }
  }
  await expected.return(undefined)
  return withSums(check.end(), sums)
}

/** Where records are at fault, their sidecar cannot be right. */
function withSums(verified: Verified, { findings }: SumCheck): Verified {
  if (verified.findings.some((finding) => severityOf(finding) === 'tampered')) return verified
  return {
    ...verified,
    findings: [...verified.findings, ...findings.listed],
    more: verified.more + findings.more,
  }
}

function areSigned(hashes: HashFile | undefined, signed: Checkpoint | undefined): boolean {
  if (hashes === undefined || signed === undefined) return false
  const tree = hashes.frontierAt(signed.size)
  return tree !== undefined && Buffer.compare(rootOf(tree), signed.root) === 0
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
