import { readFileSync } from 'node:fs'
import { verifyCheckpoint } from '../../domain/audit/checkpoint.ts'
import type { Checkpoint } from '../../domain/audit/checkpoint.ts'
import { isMissing } from './durable-file.ts'
import { logPaths } from './log-description.ts'
import type { LogFolder } from './log-folder.ts'
import { lastNote, readEnd } from './notes.ts'

/** What to do about a log that a process must not go on with. */
export const ADVICE =
  'the log was changed: run "tollgate audit verify", then restore its newest copy, or move its folder and its keys away to begin a new log'

export interface SignedState {
  readonly checkpoint: Checkpoint | undefined
  /** Where it stands. */
  readonly file: string
}

/**
 * The largest of the current checkpoint, the one kept last and the one beside the keys: an old checkpoint that is put back
 * with a log cut to fit, or a whole folder as it was earlier, would otherwise make this process sign a second history.
 */
export function signedState(folder: LogFolder): SignedState {
  const { checkpoint: file, history } = logPaths(folder.dir)
  const kept = verifyCheckpoint(lastNote(readEnd(history)), folder.key)
  const states: readonly SignedState[] = [
    { checkpoint: readSigned(folder, file), file },
    { checkpoint: kept.kind === 'verified' ? kept.checkpoint : undefined, file: history },
    { checkpoint: readSigned(folder, folder.largestSignedFile), file: folder.largestSignedFile },
  ]
  return states.reduce((best, state) => (sizeOf(state) > sizeOf(best) ? state : best))
}

function sizeOf({ checkpoint }: SignedState): number {
  return checkpoint?.size ?? 0
}

/** Undefined when there is no such file; a file that is no note of this log's key is no accident. */
function readSigned(folder: LogFolder, path: string): Checkpoint | undefined {
  const note = readIfThere(path)
  if (note === undefined) return undefined
  const verdict = verifyCheckpoint(note, folder.key)
  if (verdict.kind !== 'verified') throw new Error(`${path}: ${verdict.reason}; ${ADVICE}`)
  return verdict.checkpoint
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}
