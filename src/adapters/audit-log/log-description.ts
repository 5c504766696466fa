/**
 * Where things are in the folder of a log, and what it says of itself.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseVkey } from '../../domain/audit/checkpoint.ts'
import { isMissing } from './durable-file.ts'

/** Where things are in the folder of a log. */
export function logPaths(dir: string) {
  return {
    description: join(dir, 'log.json'),
    lock: join(dir, 'lock.db'),
    segments: join(dir, 'seg'),
    hashes: join(dir, 'hash', 'L0.bin'),
    checkpoint: join(dir, 'checkpoint'),
    history: join(dir, 'checkpoints.notes'),
  }
}

export interface LogDescription {
  readonly origin: string
  readonly vkey: string
}

/** What `log.json` says; undefined when there is none. */
export function readDescription(dir: string): LogDescription | undefined {
  const path = logPaths(dir).description
  try {
    const value: unknown = JSON.parse(readFileSync(path, 'utf8'))
    const { origin, vkey } = typeof value === 'object' && value !== null ? { origin: '', vkey: '', ...value } : {}
    if (typeof origin === 'string' && typeof vkey === 'string' && parseVkey(vkey).name === origin)
      return { origin, vkey }
    throw new Error('expected the members "origin" and "vkey" of one log')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw new Error(`${path}: not the description of a log; restore it from a backup`, { cause: error })
  }
}
