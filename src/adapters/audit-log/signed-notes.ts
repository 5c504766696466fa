/** The checkpoints of a log as verification looks for them: in every file that may hold one, believing only what the key signed. */
import { readFile } from 'node:fs/promises'
import { basename } from 'node:path'
import type { Finding } from '../../domain/audit/audit-verify-findings.ts'
import { verifyCheckpoint } from '../../domain/audit/checkpoint.ts'
import type { Checkpoint, NoteKey, NoteVerdict } from '../../domain/audit/checkpoint.ts'
import { isForbidden, isMissing } from './durable-file.ts'
import { logPaths } from './log-description.ts'
import { readNotes } from './notes.ts'

export interface SignedNotes {
  /** The largest in the folder of the log. */
  readonly checkpoint: Checkpoint | undefined
  /** The largest that is known beside the keys. */
  readonly outside: Checkpoint | undefined
  readonly findings: readonly Finding[]
}

/** The file beside the keys is read first: while a log is written, its folder is never behind it. */
export async function findSigned(
  dir: string,
  by: { readonly key: NoteKey; readonly outsideFile: string | undefined },
): Promise<SignedNotes> {
  const { checkpoint, history } = logPaths(dir)
  const outside = await signedOutside(by.outsideFile, by.key)
  const inside = await largestIn([checkpoint, history], by.key)
  return {
    checkpoint: inside.checkpoint,
    outside: outside.checkpoint,
    findings: [...outside.findings, ...inside.findings],
  }
}

type Signed = Omit<SignedNotes, 'outside'>

/** One note and nothing else: an empty file is as wrong as a forged one. Who may not look there verifies without it. */
async function signedOutside(path: string | undefined, key: NoteKey): Promise<Signed> {
  const none = { checkpoint: undefined, findings: [] }
  if (path === undefined) return none
  try {
    const verdict = verifyCheckpoint(await readFile(path, 'utf8'), key)
    if (verdict.kind === 'verified') return { checkpoint: verdict.checkpoint, findings: [] }
    return { checkpoint: undefined, findings: [notSigned(path, verdict)] }
  } catch (error) {
    if (isMissing(error) || isForbidden(error)) return none
    throw error
  }
}

function notSigned(path: string, verdict: Exclude<NoteVerdict, { kind: 'verified' }>): Finding {
  const kind = verdict.kind === 'unknown_key' ? 'UNKNOWN_KEY' : 'BAD_SIG'
  return { kind, file: basename(path), reason: verdict.reason }
}

/** Wherever it stands: an old checkpoint put back does not hide what was cut off. */
async function largestIn(files: readonly string[], key: NoteKey): Promise<Signed> {
  const findings: Finding[] = []
  let best: Checkpoint | undefined
  for (const path of files) {
    let bad: Finding | undefined
    for await (const note of notesOf(path)) {
      const verdict = verifyCheckpoint(note, key)
      if (verdict.kind === 'verified') {
        if (best === undefined || verdict.checkpoint.size > best.size) best = verdict.checkpoint
        continue
      }
      bad ??= notSigned(path, verdict)
    }
    if (bad !== undefined) findings.push(bad)
  }
  return { checkpoint: best, findings }
}

/** Every good checkpoint up to a size, in order of size; larger ones were written while this verification ran. */
export async function* signedUpTo(
  dir: string,
  by: { readonly key: NoteKey; readonly size: number; readonly outside: Checkpoint | undefined },
): AsyncGenerator<Checkpoint, undefined> {
  let { outside } = by
  for await (const note of notesOf(logPaths(dir).history)) {
    const verdict = verifyCheckpoint(note, by.key)
    if (verdict.kind !== 'verified' || verdict.checkpoint.size > by.size) continue
    if (outside !== undefined && outside.size <= verdict.checkpoint.size) {
      yield outside
      outside = undefined
    }
    yield verdict.checkpoint
  }
  if (outside !== undefined) yield outside
  return undefined
}

/** None when the file is not there. */
async function* notesOf(path: string): AsyncGenerator<string> {
  try {
    yield* readNotes(path)
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}
