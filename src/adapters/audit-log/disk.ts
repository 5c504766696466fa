/** The five things the writer asks of a disk; a value, so that tests can give it one that fails. */
import { closeSync, fdatasyncSync, ftruncateSync, openSync, writeSync } from 'node:fs'

export interface Disk {
  /** `new`: must not exist. */
  open(path: string, mode: 'new' | 'existing'): number
  /** Writes all of it or throws. */
  write(fd: number, bytes: Uint8Array, position: number): void
  /** The bytes, not the times of the file: half the cost of fsync, and the length is part of it. */
  sync(fd: number): void
  truncate(fd: number, length: number): void
  close(fd: number): void
}

const FILE_MODE = 0o644

export const realDisk: Disk = {
  open: (path, mode) => openSync(path, mode === 'new' ? 'wx+' : 'r+', FILE_MODE),
  write(fd, bytes, position) {
    let written = 0
    // A short write is followed by one that says why.
    while (written < bytes.length) written += writeSync(fd, bytes, written, bytes.length - written, position + written)
  },
  sync: fdatasyncSync,
  truncate: ftruncateSync,
  close: closeSync,
}
