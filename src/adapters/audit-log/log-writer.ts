/**
 * Writes batches to the end of a log and knows how far the log is good. A batch is written and synced as a whole or is not in
 * the log: what a failed write left behind is cut off. A failed sync is never repeated on the same bytes, because Linux drops
 * the pages and reports success the second time: the unsynced records are written again into a new segment, and when that
 * fails too the log takes nothing more until the process starts anew.
 */
import { unlinkSync } from 'node:fs'
import type { Frontier } from '../../domain/audit/merkle.ts'
import { beginSegment } from './active-segment.ts'
import type { ActiveSegment } from './active-segment.ts'
import { batchOf } from './batch.ts'
import type { Batch } from './batch.ts'
import { CheckpointSigner } from './checkpoint-signer.ts'
import type { Disk } from './disk.ts'
import { replaceFile } from './durable-file.ts'
import { HashFile } from './hash-file.ts'
import { logPaths } from './log-description.ts'
import type { LogFolder } from './log-folder.ts'
import type { Durability, Entry, WriterState } from './messages.ts'
import type { OpenDecisions } from './open-decisions.ts'
import type { LogState } from './recover.ts'
import { formatSum, sumPath } from './segments.ts'
import type { Segment } from './segments.ts'

/** With durability `process`, unsynced records are kept in memory to be written again; beyond this they are synced at once. */
const UNSYNCED_BYTES_MAX = 8 * 1024 * 1024

/** What a probe writes: room for a batch of ordinary size, so that a disk with a few bytes left is not taken for a good one. */
const PROBE_BYTES = 64 * 1024

export interface LogWriterOptions {
  readonly folder: LogFolder
  readonly state: LogState
  readonly durability: Durability
  readonly segmentBytesMax: number
  readonly disk: Disk
}

/** Where the log ends, or ended when it was last synced. */
interface End {
  readonly frontier: Frontier
  /** Length of the active segment. */
  readonly bytes: number
}

export class LogWriter implements Disposable {
  readonly #options: LogWriterOptions
  readonly #hashes: HashFile
  readonly #openDecisions: OpenDecisions
  readonly #checkpoints: CheckpointSigner
  /** All below is owned by this object; every change is made after the disk has agreed. */
  #active: ActiveSegment | undefined
  #end: End
  #synced: End
  #unsynced: Buffer[] = []
  #lastTimeMs: number
  state: WriterState = 'open'

  constructor(options: LogWriterOptions) {
    const { state, folder, disk } = options
    this.#options = options
    this.#hashes = new HashFile(logPaths(folder.dir).hashes, 'write')
    this.#openDecisions = state.openDecisions
    this.#checkpoints = new CheckpointSigner(folder, state.signedSize)
    if (state.active !== undefined) {
      this.#active = { segment: state.active.segment, fd: disk.open(state.active.segment.path, 'existing') }
    }
    this.#end = { frontier: state.frontier, bytes: state.active?.bytes ?? 0 }
    this.#synced = this.#end
    this.#lastTimeMs = state.lastTimeMs
  }

  get size(): number {
    return this.#end.frontier.size
  }

  /** Returns when the entries are as durable as was asked for; throws when they are not in the log. */
  append(entries: readonly Entry[], nowMs: number): Batch {
    if (this.state === 'failed') throw new Error('the log failed; restart the process to recover it')
    try {
      if (this.#end.bytes >= this.#options.segmentBytesMax) this.#seal()
      const timeMs = Math.max(nowMs, this.#lastTimeMs)
      const batch = batchOf(entries, { log: this.#options.folder.origin, frontier: this.#end.frontier, timeMs })
      this.#write(batch)
      if (this.#options.durability === 'disk' || this.#unsyncedBytes() > UNSYNCED_BYTES_MAX) this.sync()
      for (const entry of entries) this.#openDecisions.apply(entry.settles)
      this.state = 'open'
      return batch
    } catch (error) {
      this.#tookNothing()
      throw error
    }
  }

  /** A failure that is not for good may pass: space comes back. */
  #tookNothing(): void {
    if (this.state !== 'failed') this.state = 'full'
  }

  #write(batch: Batch): void {
    const { disk } = this.#options
    this.#active ??= beginSegment(this.#options, batch.firstSeq)
    const { bytes } = this.#end
    this.#hashes.write(batch.firstSeq, batch.leaves)
    try {
      disk.write(this.#active.fd, batch.bytes, bytes)
    } catch (error) {
      this.#cut(this.#active.fd, bytes)
      throw error
    }
    this.#unsynced.push(batch.bytes)
    this.#lastTimeMs = batch.timeMs
    this.#end = { frontier: batch.frontier, bytes: bytes + batch.bytes.length }
  }

  /** What cannot be cut off would be read as records later: then the log must not be continued. */
  #cut(fd: number, length: number): void {
    try {
      this.#options.disk.truncate(fd, length)
    } catch (error) {
      this.state = 'failed'
      throw new Error('a failed write could not be cut off', { cause: error })
    }
  }

  #unsyncedBytes(): number {
    return this.#unsynced.reduce((sum, bytes) => sum + bytes.length, 0)
  }

  /** Makes everything written so far durable. */
  sync(): void {
    if (this.#unsynced.length === 0 || this.#active === undefined) return
    try {
      this.#options.disk.sync(this.#active.fd)
    } catch (error) {
      this.#writeAgain(error)
    }
    this.#unsynced = []
    this.#synced = this.#end
  }

  /** The one second try after a failed sync: the same records, in a new file. */
  #writeAgain(cause: unknown): void {
    try {
      const bytes = Buffer.concat(this.#unsynced)
      this.#dropUnsynced()
      this.#active = beginSegment(this.#options, this.#synced.frontier.size)
      this.#options.disk.write(this.#active.fd, bytes, 0)
      this.#options.disk.sync(this.#active.fd)
      this.#end = { frontier: this.#end.frontier, bytes: bytes.length }
    } catch (error) {
      this.state = 'failed'
      this.#withdraw()
      throw new AggregateError([cause, error], 'the disk failed to sync twice in a row', { cause: error })
    }
  }

  /**
   * Nobody was told that these records are in the log, so as far as the disk still obeys they shall not be. With durability
   * `process` somebody was: then whatever reached the disk is left there.
   */
  #withdraw(): void {
    this.#end = this.#synced
    if (this.#active === undefined || this.#options.durability === 'process') return
    try {
      this.#options.disk.truncate(this.#active.fd, 0)
    } catch {
      // The disk is given up already; start-up finds out what it kept.
    }
  }

  /**
   * Cuts the active segment where it was last synced and gives it up. It gets no sidecar, and is read whole at the next start:
   * the state at that place is not known any more.
   */
  #dropUnsynced(): void {
    const { disk } = this.#options
    const active = this.#active
    if (active === undefined) return
    disk.close(active.fd)
    this.#active = undefined
    if (this.#synced.bytes === 0) {
      unlinkSync(active.segment.path)
      return
    }
    const fd = disk.open(active.segment.path, 'existing')
    try {
      disk.truncate(fd, this.#synced.bytes)
      disk.sync(fd)
    } finally {
      disk.close(fd)
    }
  }

  /** Ends the active segment; the next record begins another. Signed first, so a sidecar is never ahead of the checkpoint. */
  #seal(): void {
    if (this.#active === undefined) return
    this.checkpoint({ isKept: true })
    this.#hashes.sync()
    this.#writeSum(this.#active.segment, this.#end)
    this.#options.disk.close(this.#active.fd)
    this.#active = undefined
    this.#end = { frontier: this.#end.frontier, bytes: 0 }
    this.#synced = this.#end
  }

  #writeSum(segment: Segment, end: End): void {
    const openDecisions = this.#openDecisions.list()
    const { frontier, bytes } = end
    replaceFile(sumPath(segment), formatSum(segment, { frontier, bytes, lastTimeMs: this.#lastTimeMs, openDecisions }))
  }

  /** Signs the tree if it grew. Synced first: a checkpoint is never ahead of the disk. */
  checkpoint(options: { readonly isKept: boolean }): void {
    const { frontier } = this.#end
    if (this.state === 'failed' || frontier.size === this.#checkpoints.signedSize) return
    try {
      this.sync()
      this.#checkpoints.sign(frontier, options)
    } catch (error) {
      this.#tookNothing()
      throw error
    }
  }

  /** Finds out whether the disk takes data again, at the place where records would go, and leaves no trace. */
  probe(): void {
    if (this.state !== 'full') return
    this.sync()
    const { disk } = this.#options
    this.#active ??= beginSegment(this.#options, this.#end.frontier.size)
    try {
      disk.write(this.#active.fd, Buffer.alloc(PROBE_BYTES), this.#end.bytes)
      disk.sync(this.#active.fd)
    } finally {
      this.#cut(this.#active.fd, this.#end.bytes)
    }
    this.state = 'open'
  }

  [Symbol.dispose](): void {
    if (this.#active !== undefined) this.#options.disk.close(this.#active.fd)
    this.#active = undefined
    this.#hashes[Symbol.dispose]()
  }
}
