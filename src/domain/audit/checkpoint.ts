/**
 * Checkpoints as C2SP `tlog-checkpoint` inside C2SP `signed-note`, so that third-party tools verify them: three lines
 * (origin, size, root), an empty line, and a signature line for each key. Signature lines of unknown keys are ignored, as
 * the specification demands: witnesses add theirs below ours.
 */
import { createPublicKey, hash, sign, verify } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { HASH_BYTES } from './merkle.ts'

/** What a checkpoint states: the log named `origin` had `size` records and this root over them. */
export interface Checkpoint {
  readonly origin: string
  readonly size: number
  readonly root: Uint8Array
}

/** A verification key of a named log. */
export interface NoteKey {
  readonly name: string
  readonly id: Uint8Array
  readonly publicKey: KeyObject
}

export type NoteVerdict =
  | { readonly kind: 'verified'; readonly checkpoint: Checkpoint }
  | { readonly kind: 'bad_signature' | 'unknown_key' | 'malformed'; readonly reason: string }

/** Signature type byte of Ed25519 in C2SP signed-note. */
const ED25519_TYPE = 0x01
const KEY_ID_BYTES = 4
const ED25519_BYTES = 32
const SIGNATURE_PREFIX = '\u2014 '

/** Most signature lines that are looked at: the log's own and its witnesses'. Ends hostile notes early. */
const SIGNATURE_LINES_MAX = 100

/** The spaces and the plus sign delimit names in notes and keys. */
const NAME_PATTERN = /^[^\s+]{1,255}$/u

/** First four bytes of SHA-256(name || 0x0A || 0x01 || public key). */
function keyIdOf(name: string, publicKey: Uint8Array): Buffer {
  const input = Buffer.concat([Buffer.from(`${name}\n`), Buffer.of(ED25519_TYPE), publicKey])
  return hash('sha256', input, 'buffer').subarray(0, KEY_ID_BYTES)
}

function rawPublicKey(key: KeyObject): Buffer {
  const { crv, x } = key.export({ format: 'jwk' })
  if (crv !== 'Ed25519' || x === undefined) throw new TypeError('the key of a log must be an Ed25519 key')
  return Buffer.from(x, 'base64url')
}

/** `key` may be the private or the public half. */
export function noteKey(name: string, key: KeyObject): NoteKey {
  if (!NAME_PATTERN.test(name)) throw new TypeError(`log name "${name}": must not be empty or hold spaces or "+"`)
  const publicKey = key.type === 'private' ? createPublicKey(key) : key
  return { name, id: keyIdOf(name, rawPublicKey(publicKey)), publicKey }
}

/** The key as one line of text: `name+hex key id+base64(type || public key)`. */
export function formatVkey(key: NoteKey): string {
  const typed = Buffer.concat([Buffer.of(ED25519_TYPE), rawPublicKey(key.publicKey)])
  return `${key.name}+${Buffer.from(key.id).toString('hex')}+${typed.toString('base64')}`
}

/** Refuses a key whose id does not follow from its name and bytes: one of the three was mistyped or swapped. */
export function parseVkey(text: string): NoteKey {
  const match = /^([^\s+]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/=]+)$/u.exec(text.trim())
  const [, name, id, encoded] = match ?? []
  if (name === undefined || id === undefined || encoded === undefined) {
    throw new TypeError('verification key: expected "<name>+<8 hex digits>+<base64>", as in log.json')
  }
  const typed = Buffer.from(encoded, 'base64')
  if (typed[0] !== ED25519_TYPE || typed.length !== 1 + ED25519_BYTES) {
    throw new TypeError(`verification key of ${name}: only Ed25519 keys (type 1, 32 bytes) are supported`)
  }
  const x = typed.subarray(1).toString('base64url')
  const key = noteKey(name, createPublicKey({ key: { kty: 'OKP', crv: 'Ed25519', x }, format: 'jwk' }))
  if (Buffer.from(key.id).toString('hex') !== id) {
    throw new TypeError(`verification key of ${name}: key id ${id} does not belong to this name and key; copy it again`)
  }
  return key
}

export function signCheckpoint(checkpoint: Checkpoint, privateKey: KeyObject): string {
  const text = `${checkpoint.origin}\n${checkpoint.size}\n${Buffer.from(checkpoint.root).toString('base64')}\n`
  const key = noteKey(checkpoint.origin, privateKey)
  const signature = Buffer.concat([key.id, sign(null, Buffer.from(text), privateKey)]).toString('base64')
  return `${text}\n${SIGNATURE_PREFIX}${key.name} ${signature}\n`
}

/** Believes nothing but `key`: what the note says is returned only under a valid signature of that key and name. */
export function verifyCheckpoint(note: string, key: NoteKey): NoteVerdict {
  const end = note.indexOf('\n\n')
  if (end === -1) return { kind: 'malformed', reason: 'no empty line between the text and its signatures' }
  const text = note.slice(0, end + 1)
  const signature = signatureBy(key, note.slice(end + 2))
  if (signature === undefined) return { kind: 'unknown_key', reason: `no signature by ${formatVkey(key)}` }
  if (!verify(null, Buffer.from(text), key.publicKey, signature)) {
    return { kind: 'bad_signature', reason: `the signature of ${key.name} does not fit the text` }
  }
  const checkpoint = parseCheckpoint(text)
  if (checkpoint === undefined) return { kind: 'malformed', reason: 'signed text is not origin, size and root' }
  if (checkpoint.origin !== key.name) {
    return { kind: 'unknown_key', reason: `signed for the log ${checkpoint.origin}, not for ${key.name}` }
  }
  return { kind: 'verified', checkpoint }
}

/** Two keys may share a name; the key id tells them apart. */
function signatureBy(key: NoteKey, lines: string): Buffer | undefined {
  for (const line of lines.split('\n', SIGNATURE_LINES_MAX)) {
    const [dash, name, encoded] = line.split(' ')
    if (`${dash} ` !== SIGNATURE_PREFIX || name !== key.name || encoded === undefined) continue
    const bytes = Buffer.from(encoded, 'base64')
    if (Buffer.compare(bytes.subarray(0, KEY_ID_BYTES), key.id) === 0) return bytes.subarray(KEY_ID_BYTES)
  }
  return undefined
}

function parseCheckpoint(text: string): Checkpoint | undefined {
  const [origin, size, encoded, ...rest] = text.split('\n')
  if (origin === undefined || size === undefined || encoded === undefined) return undefined
  const root = Buffer.from(encoded, 'base64')
  const isWhole = /^(?:0|[1-9]\d{0,15})$/u.test(size) && root.length === HASH_BYTES && rest.join('') === ''
  return isWhole ? { origin, size: Number(size), root } : undefined
}
