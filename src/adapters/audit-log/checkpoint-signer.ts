import { signCheckpoint } from '../../domain/audit/checkpoint.ts'
import { rootOf } from '../../domain/audit/merkle.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'
import { appendFile, replaceFile } from './durable-file.ts'
import { LargestSigned } from './largest-signed.ts'
import { logPaths } from './log-description.ts'
import type { LogFolder } from './log-folder.ts'

/** Checkpoints are kept for auditors about once a minute: they narrow a fault down in time when the hash file is lost too. */
const KEPT_EVERY_MS = 60_000

/** Signs trees that are on disk, each larger than the one before, and writes what it signed where auditors find it. */
export class CheckpointSigner {
  readonly #folder: LogFolder
  readonly #largest: LargestSigned
  /** Owned by this object. */
  #signedSize: number
  #keptAtMs = Number.NEGATIVE_INFINITY

  constructor(folder: LogFolder, signedSize: number) {
    this.#folder = folder
    this.#largest = new LargestSigned(folder.largestSignedFile)
    this.#signedSize = signedSize
  }

  get signedSize(): number {
    return this.#signedSize
  }

  /** Kept first: a checkpoint that was shown is never missing from those that were kept at the same size. */
  sign(frontier: Frontier, options: { readonly isKept: boolean }): void {
    const { origin, dir, keys } = this.#folder
    const { size } = frontier
    if (size < this.#signedSize) throw new RangeError(`a tree of ${size} is older than what was signed`)
    const note = signCheckpoint({ origin, size, root: rootOf(frontier) }, keys.log)
    const nowMs = performance.now()
    if (options.isKept || nowMs - this.#keptAtMs >= KEPT_EVERY_MS) {
      appendFile(logPaths(dir).history, note)
      this.#keptAtMs = nowMs
    }
    replaceFile(logPaths(dir).checkpoint, note)
    this.#largest.keep(note, { nowMs, isDue: options.isKept })
    this.#signedSize = size
  }
}
