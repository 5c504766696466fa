/**
 * The two Ed25519 keys of a log: one signs checkpoints, the other receipts, because a signature of one kind must never be
 * readable as one of the other. They live outside the log's folder, which is handed to auditors whole, and so prove that a
 * log existed when its folder is gone. For that a key gets its name last: until the log has its description it has another.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { createPrivateFile, isMissing, syncFolder } from './durable-file.ts'

export interface LogKeys {
  readonly log: KeyObject
  readonly receipt: KeyObject
}

const FOLDER_MODE = 0o700

const USES = ['receipt', 'log'] as const

/** Keys of a log that has no description yet; {@link nameLogKeys} names them once it has. */
export function createLogKeys(keysDir: string, name: string): LogKeys {
  mkdirSync(keysDir, { recursive: true, mode: FOLDER_MODE })
  return { log: createKey(keyFiles(keysDir, name, 'log')), receipt: createKey(keyFiles(keysDir, name, 'receipt')) }
}

/** Gives keys their names; also those that a process left without when it died. */
export function nameLogKeys(keysDir: string, name: string): void {
  for (const use of USES) {
    const { named, unnamed } = keyFiles(keysDir, name, use)
    if (existsSync(named) || !existsSync(unnamed)) continue
    renameSync(unnamed, named)
    syncFolder(keysDir)
  }
}

export function loadLogKeys(keysDir: string, name: string): LogKeys {
  return {
    log: loadKey(keyFiles(keysDir, name, 'log').named),
    receipt: loadKey(keyFiles(keysDir, name, 'receipt').named),
  }
}

interface KeyFiles {
  readonly named: string
  /** Where the key is until its log has a description. */
  readonly unnamed: string
}

function keyFiles(keysDir: string, name: string, use: (typeof USES)[number]): KeyFiles {
  return { named: join(keysDir, `${name}.${use}.pem`), unnamed: join(keysDir, `${name}.${use}.new.pem`) }
}

function createKey({ named, unnamed }: KeyFiles): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  if (existsSync(named) || !createPrivateFile(unnamed, pem)) {
    throw new Error(`${named}: there already, although this log is new; move it away`)
  }
  return privateKey
}

/** A log is never given a second key: without its own it cannot be continued. */
function loadKey(path: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path))
  } catch (error) {
    const advice = 'restore it from a backup, or move the folder of this log and its keys away to begin a new log'
    const fault = isMissing(error) ? 'is missing' : 'is not a readable private key'
    throw new Error(`${path}: the signing key ${fault}; ${advice}`, { cause: error })
  }
}

/** Public half as a JWK whose `kid` is its RFC 7638 thumbprint. */
export function publicJwk(key: KeyObject): { readonly [member: string]: string } & { readonly kid: string } {
  const { x } = createPublicKey(key).export({ format: 'jwk' })
  if (x === undefined) throw new TypeError('receipt key: expected an Ed25519 key')
  const kid = hash('sha256', `{"crv":"Ed25519","kty":"OKP","x":"${x}"}`, 'base64url')
  return { kty: 'OKP', crv: 'Ed25519', x, kid, alg: 'Ed25519', use: 'sig' }
}
