/**
 * The two Ed25519 keys of a log: one signs checkpoints, the other receipts, because a signature of one kind must never be
 * readable as one of the other. They live outside the log's folder, which is handed to auditors whole.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, hash } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { createPrivateFile, isMissing } from './durable-file.ts'

export interface LogKeys {
  readonly log: KeyObject
  readonly receipt: KeyObject
}

const FOLDER_MODE = 0o700

export function createLogKeys(keysDir: string, name: string): LogKeys {
  mkdirSync(keysDir, { recursive: true, mode: FOLDER_MODE })
  return { log: createKey(keyFile(keysDir, name, 'log')), receipt: createKey(keyFile(keysDir, name, 'receipt')) }
}

export function loadLogKeys(keysDir: string, name: string): LogKeys {
  return { log: loadKey(keyFile(keysDir, name, 'log')), receipt: loadKey(keyFile(keysDir, name, 'receipt')) }
}

function keyFile(keysDir: string, name: string, use: 'log' | 'receipt'): string {
  return join(keysDir, `${name}.${use}.pem`)
}

function createKey(path: string): KeyObject {
  const { privateKey } = generateKeyPairSync('ed25519')
  const pem = privateKey.export({ format: 'pem', type: 'pkcs8' }).toString()
  if (!createPrivateFile(path, pem)) throw new Error(`${path}: there already, although this log is new; move it away`)
  return privateKey
}

/** A log is never given a second key: without its own it cannot be continued. */
function loadKey(path: string): KeyObject {
  try {
    return createPrivateKey(readFileSync(path))
  } catch (error) {
    const advice = 'restore it from a backup, or move the folder of this log out of the audit folder to begin a new log'
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
