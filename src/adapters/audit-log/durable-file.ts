/** Files that are either as they were or as they shall be, also after a power cut. Synchronous: only the log's own thread uses it. */
import { closeSync, fstatSync, fsyncSync, ftruncateSync, openSync, renameSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'

const PRIVATE_MODE = 0o600
const PUBLIC_MODE = 0o644

/** A rename or a new name is durable only when its folder is. */
export function syncFolder(path: string): void {
  const fd = openSync(path, 'r')
  try {
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
}

/** Replaces the file as a whole: written beside it, synced, renamed over it. */
export function replaceFile(path: string, data: string, options: { readonly isPrivate?: boolean } = {}): void {
  const beside = `${path}.tmp`
  const fd = openSync(beside, 'w', options.isPrivate === true ? PRIVATE_MODE : PUBLIC_MODE)
  try {
    writeFileSync(fd, data)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
  renameSync(beside, path)
  syncFolder(dirname(path))
}

/** Adds `data` to the end as a whole or not at all. */
export function appendFile(path: string, data: string): void {
  const fd = openSync(path, 'a', PUBLIC_MODE)
  const { size } = fstatSync(fd)
  try {
    writeFileSync(fd, data)
    fsyncSync(fd)
  } catch (error) {
    ftruncateSync(fd, size)
    throw error
  } finally {
    closeSync(fd)
  }
}

export function isMissing(error: unknown): boolean {
  return error instanceof Error && 'code' in error && error.code === 'ENOENT'
}
