/**
 * A small file beside the log: what this gateway knows of its ledger's store.
 */
import { mkdir, readFile, rename, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { StoreMemory, StoreNotes } from '../../ports/store-notes.ts'

export function createStoreNotes(file: string): StoreNotes {
  return {
    async read() {
      const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return undefined
        throw error
      })
      return text === undefined ? undefined : parse(file, text)
    },
    async write(memory) {
      await mkdir(dirname(file), { recursive: true })
      // Not forced to the disk: after a power cut an older memory does, and a second of waiting for it does not.
      await writeFile(`${file}.new`, JSON.stringify(memory))
      await rename(`${file}.new`, file)
    },
  }
}

function parse(file: string, text: string): StoreMemory {
  const value: unknown = JSON.parse(text)
  if (!isMemory(value)) throw new Error(`${file}: is not what a gateway wrote there; remove it`)
  return value
}

function isMemory(value: unknown): value is StoreMemory {
  if (typeof value !== 'object' || value === null) return false
  if (!('epoch' in value && 'servers' in value && 'stamps' in value && 'peers' in value)) return false
  const { epoch, servers, stamps, peers } = value
  if (typeof epoch !== 'string' || typeof servers !== 'string' || !Array.isArray(peers)) return false
  if (!peers.every((peer) => typeof peer === 'string') || typeof stamps !== 'object' || stamps === null) return false
  return Object.values(stamps).every((stamp) => typeof stamp === 'number')
}
