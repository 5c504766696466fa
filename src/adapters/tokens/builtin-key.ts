/** The signing key of the built-in issuer: made on first start, kept in one file that its owner alone can read. */
import { createPrivateKey, generateKeyPairSync, randomUUID } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { link, mkdir, open, unlink } from 'node:fs/promises'
import { join } from 'node:path'

const FILE_NAME = 'builtin-issuer.pem'
const OWNER_ONLY_FILE = 0o600
const OWNER_ONLY_FOLDER = 0o700

/** Permission bits of group and others. */
const NOT_OWNER = 0o077

/** A PKCS #8 Ed25519 key in PEM takes 119 bytes. */
const FILE_BYTES_MAX = 4_096

/** The key under `dir`; made when there is none. Two processes that start at once end with the same key. */
export async function openBuiltinKey(dir: string): Promise<KeyObject> {
  const path = join(dir, FILE_NAME)
  await mkdir(dir, { recursive: true, mode: OWNER_ONLY_FOLDER })
  return (await readKey(path)) ?? (await createKey(path))
}

async function readKey(path: string): Promise<KeyObject | undefined> {
  try {
    await using file = await open(path)
    const { mode, size } = await file.stat()
    if ((mode & NOT_OWNER) !== 0) throw new Error(`${path}: others may read this signing key; run chmod 600 on it`)
    if (size > FILE_BYTES_MAX) throw notAKey(path)
    return parseKey(path, await file.readFile('utf8'))
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return undefined
    throw error
  }
}

function parseKey(path: string, pem: string): KeyObject {
  let key: KeyObject
  try {
    key = createPrivateKey(pem)
  } catch (cause) {
    throw notAKey(path, cause)
  }
  if (key.asymmetricKeyType !== 'ed25519') throw notAKey(path)
  return key
}

function notAKey(path: string, cause?: unknown): Error {
  const fix = 'restore it, or delete it to get a new key (tokens signed so far then stop working)'
  return new Error(`${path}: not an Ed25519 private key in PEM; ${fix}`, { cause })
}

/**
 * Written whole under a name of its own, then linked to its place: a reader never sees half a key, and the loser of a race
 * finds that the place is taken and reads the winner's.
 */
async function createKey(path: string): Promise<KeyObject> {
  const { privateKey } = generateKeyPairSync('ed25519')
  const draft = `${path}.${randomUUID()}`
  try {
    await using file = await open(draft, 'wx', OWNER_ONLY_FILE)
    await file.writeFile(privateKey.export({ type: 'pkcs8', format: 'pem' }))
    await file.sync()
    await link(draft, path)
    return privateKey
  } catch (error) {
    const winner = hasCode(error, 'EEXIST') ? await readKey(path) : undefined
    if (winner === undefined) throw error
    return winner
  } finally {
    await unlink(draft).catch(ignoreMissing)
  }
}

function ignoreMissing(error: unknown): void {
  if (!hasCode(error, 'ENOENT')) throw error
}

function hasCode(error: unknown, code: string): boolean {
  return error instanceof Error && 'code' in error && error.code === code
}
