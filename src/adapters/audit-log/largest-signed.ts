/**
 * The largest checkpoint of a log, kept once more beside its keys. A folder of a log that is put back whole as it was earlier
 * is sound in itself; only what is kept outside it tells that it was longer.
 */
import { join } from 'node:path'
import { replaceFile } from './durable-file.ts'

/** A write costs two syncs. What can be put back without trace after a kill is younger; after a close it is nothing. */
const KEPT_EVERY_MS = 10_000

export function largestSignedFile(keysDir: string, name: string): string {
  return join(keysDir, `${name}.signed`)
}

/** Keeps what a log's one writer signs. */
export class LargestSigned {
  readonly #path: string
  /** Owned by this object. */
  #keptAtMs = Number.NEGATIVE_INFINITY

  constructor(path: string) {
    this.#path = path
  }

  /** Called after the note is in the log's own folder, so that this file is never ahead of it. */
  keep(note: string, at: { readonly nowMs: number; readonly isDue: boolean }): void {
    if (!at.isDue && at.nowMs - this.#keptAtMs < KEPT_EVERY_MS) return
    replaceFile(this.#path, note, { isPrivate: true })
    this.#keptAtMs = at.nowMs
  }
}
