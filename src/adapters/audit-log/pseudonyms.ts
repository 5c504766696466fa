/**
 * Pseudonyms by a keyed hash: whoever reads the log cannot go from a pseudonym to a person, nor try out names, without the
 * key. Each tenant has a key of its own, derived from the master key, so that one person has unrelated pseudonyms in two
 * tenants and a tenant can be given its key alone.
 */
import { createHmac, randomBytes } from 'node:crypto'
import { mkdirSync, readFileSync } from 'node:fs'
import { dirname } from 'node:path'
import type { Pseudonyms } from '../../ports.ts'
import { createPrivateFile, isMissing } from './durable-file.ts'

const KEY_BYTES = 32
const FOLDER_MODE = 0o700

/** 22 characters of base64url carry 128 bits and more. */
const PSEUDONYM_CHARS = 22

/** It runs once a call and callers return: this many people take a few megabytes. The least recently seen are forgotten. */
const CACHED_MAX = 20_000
const CACHED_TENANTS_MAX = 1000

export function createPseudonyms(options: { readonly keyFile: string }): Pseudonyms {
  const master = loadOrCreateKey(options.keyFile)
  const tenantKeys = new RecentlyUsed<Buffer>(CACHED_TENANTS_MAX)
  const pseudonyms = new RecentlyUsed<string>(CACHED_MAX)
  const keyOf = (tenant: string) => tenantKeys.get(tenant, () => hmac(master, tenant))
  return {
    of(tenant, issuer, subject) {
      // JSON keeps the three apart whatever characters they hold.
      return pseudonyms.get(JSON.stringify([tenant, issuer, subject]), () =>
        hmac(keyOf(tenant), `${issuer}\0${subject}`).toString('base64url').slice(0, PSEUDONYM_CHARS),
      )
    },
  }
}

function hmac(key: Uint8Array, text: string): Buffer {
  return createHmac('sha256', key).update(text).digest()
}

/** Several processes of one data folder may start at once: the first makes the key, the others read it. */
function loadOrCreateKey(path: string): Buffer {
  if (readIfThere(path) === undefined) {
    mkdirSync(dirname(path), { recursive: true, mode: FOLDER_MODE })
    createPrivateFile(path, `${randomBytes(KEY_BYTES).toString('base64')}\n`)
  }
  const key = Buffer.from(readFileSync(path, 'utf8').trim(), 'base64')
  if (key.length !== KEY_BYTES) {
    throw new Error(
      `${path}: expected ${KEY_BYTES} bytes in base64; restore the key, or remove it to begin with new pseudonyms`,
    )
  }
  return key
}

function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    if (isMissing(error)) return undefined
    throw error
  }
}

/** A map that forgets what was not asked for longest. A Map keeps the order of insertion; a hit is inserted anew. */
class RecentlyUsed<Value extends {}> {
  readonly #max: number
  readonly #values = new Map<string, Value>()

  constructor(max: number) {
    this.#max = max
  }

  get(key: string, make: () => Value): Value {
    const value = this.#values.get(key) ?? make()
    this.#values.delete(key)
    this.#values.set(key, value)
    const [oldest] = this.#values.keys()
    if (this.#values.size > this.#max && oldest !== undefined) this.#values.delete(oldest)
    return value
  }
}
