/** Files that are either as they were or as they shall be, also after a power cut. Synchronous: only the log's own thread uses it. */
import { randomUUID } from 'node:crypto'
import {
  closeSync,
  fstatSync,
  fsyncSync,
  ftruncateSync,
  linkSync,
  openSync,
  renameSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
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

/** Replaces the file as a whole: written beside it, synced, renamed over it. The folder has one writer. */
export function replaceFile(path: string, data: string, options: { readonly isPrivate?: boolean } = {}): void {
  const beside = `${path}.tmp`
  writeSynced(beside, data, options.isPrivate === true ? PRIVATE_MODE : PUBLIC_MODE)
  renameSync(beside, path)
  syncFolder(dirname(path))
}

/** Makes a private file as a whole; false when it is there already, also when another process was faster by a moment. */
export function createPrivateFile(path: string, data: string): boolean {
  const beside = `${path}.${randomUUID()}.tmp`
  writeSynced(beside, data, PRIVATE_MODE)
  try {
    linkSync(beside, path)
  } catch (error) {
    if (hasCode(error, 'EEXIST')) return false
    throw error
  } finally {
    unlinkSync(beside)
  }
  syncFolder(dirname(path))
  return true
}

function writeSynced(path: string, data: string, mode: number): void {
  const fd = openSync(path, 'w', mode)
  try {
    writeFileSync(fd, data)
    fsyncSync(fd)
  } finally {
    closeSync(fd)
  }
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

/** There is no such file, or something on the way to it is no folder. */
export function isMissing(error: unknown): boolean {
  return hasCode(error, 'ENOENT') || hasCode(error, 'ENOTDIR')
}

/** It may be there, but not for this user. */
export function isForbidden(error: unknown): boolean {
  return hasCode(error, 'EACCES') || hasCode(error, 'EPERM')
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
