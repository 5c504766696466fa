/**
 * The text under which one caller's share of a rule is counted. Two different combinations of values never get the same
 * text: a value that could be mistaken for a separator, or that is long, is written in a form that no plain value has.
 */
import { createHash } from 'node:crypto'
import { SHARDS } from '../ledger/accumulator-check.ts'

/** Longer values are replaced by a hash: keys are stored with every hold. */
const PLAIN_MAX = 40

/** Half of SHA-256 (128 bits): finding two values with one hash takes about 2^64 tries. */
const HASH_BYTES = 16

/** Characters that mean nothing in a key. Everything else, `:`, `|`, `#`, `{` and `%` among it, is escaped or hashed. */
const PLAIN = /^[A-Za-z0-9._@-]+$/

const SEPARATOR = '|'

/** One value as it stands in a key: itself, percent-escaped, or `#` and its hash. */
export function encodeValue(value: string): string {
  if (value.length <= PLAIN_MAX && PLAIN.test(value)) return value
  if (value.length <= PLAIN_MAX && value.isWellFormed()) {
    const escaped = encodeURIComponent(value)
    if (value !== '' && escaped.length <= PLAIN_MAX) return escaped
  }
  return hashed(value)
}

/**
 * A value that names a person: never as it is, because keys stand in records and in Redis. Every node of an installation
 * must write the same text, so the hash has no key of its own: it hides a name from a reader, not from somebody who
 * guesses names.
 */
export function encodePersonal(value: string): string {
  return hashed(`person ${value}`)
}

function hashed(value: string): string {
  // JSON writes lone surrogates as escapes, so that no two strings have one UTF-8 form.
  const digest = createHash('sha256').update(JSON.stringify(value)).digest()
  return `#${digest.subarray(0, HASH_BYTES).toString('base64url')}`
}

/** Joins encoded values; a rule always joins the same number of them, in the order of its key. */
export function joinSubject(encoded: readonly string[]): string {
  return encoded.join(SEPARATOR)
}

/** The encoded values of a joined subject. */
export function splitSubject(subject: string): readonly string[] {
  return subject.split(SEPARATOR)
}

const FNV_OFFSET = 0x811c9dc5
const FNV_PRIME = 0x01000193

/** The virtual shard of a home subject: FNV-1a over its key text. Part of every key, so it never changes. */
export function shardOf(home: string): number {
  let hash = FNV_OFFSET
  for (let index = 0; index < home.length; index += 1) {
    hash = Math.imul(hash ^ home.charCodeAt(index), FNV_PRIME)
  }
  // The low bits of FNV-1a hardly depend on the early characters; folding the high half in spreads them.
  return ((hash >>> 16) ^ hash) & (SHARDS - 1)
}
