/**
 * The leaf hashes of a log as a flat array, 32 bytes each at 32 times the sequence number. It proves nothing by itself: it
 * tells which record is wrong once its own root is found to be the signed one, and is made anew from the records when it is short.
 */
import { closeSync, constants, fstatSync, fsyncSync, ftruncateSync, openSync, readSync, writeSync } from 'node:fs'
import { EMPTY_FRONTIER, HASH_BYTES, appendLeaf } from '../../domain/audit/merkle.ts'
import type { Frontier } from '../../domain/audit/merkle.ts'

/** Hashes read at once: 64 KiB, so that reading in order costs one system call for 2,048 records. */
const WINDOW_HASHES = 2048

export class HashFile implements Disposable {
  /** Owned by this object; the window is what was last read and is dropped by every write. */
  readonly #fd: number
  #window: { readonly first: number; readonly bytes: Buffer } | undefined

  constructor(path: string, mode: 'read' | 'write') {
    this.#fd = openSync(path, mode === 'read' ? constants.O_RDONLY : constants.O_RDWR | constants.O_CREAT)
  }

  /** Hashes in the file. */
  get count(): number {
    return Math.floor(fstatSync(this.#fd).size / HASH_BYTES)
  }

  at(index: number): Buffer | undefined {
    const first = index - (index % WINDOW_HASHES)
    if (this.#window?.first !== first) {
      const bytes = Buffer.alloc(WINDOW_HASHES * HASH_BYTES)
      const length = readSync(this.#fd, bytes, 0, bytes.length, first * HASH_BYTES)
      this.#window = { first, bytes: bytes.subarray(0, length) }
    }
    const start = (index - first) * HASH_BYTES
    const found = this.#window.bytes.subarray(start, start + HASH_BYTES)
    return found.length === HASH_BYTES ? found : undefined
  }

  /** The tree over the first `size` hashes; undefined when there are fewer. */
  frontierAt(size: number): Frontier | undefined {
    let frontier = EMPTY_FRONTIER
    for (let index = 0; index < size; index += 1) {
      const leaf = this.at(index)
      if (leaf === undefined) return undefined
      frontier = appendLeaf(frontier, leaf)
    }
    return frontier
  }

  write(first: number, leaves: Uint8Array): void {
    this.#window = undefined
    let written = 0
    while (written < leaves.length) {
      written += writeSync(this.#fd, leaves, written, leaves.length - written, first * HASH_BYTES + written)
    }
  }

  /** Forgets all hashes from `size` on. */
  trim(size: number): void {
    this.#window = undefined
    ftruncateSync(this.#fd, size * HASH_BYTES)
  }

  sync(): void {
    fsyncSync(this.#fd)
  }

  [Symbol.dispose](): void {
    closeSync(this.#fd)
  }
}
