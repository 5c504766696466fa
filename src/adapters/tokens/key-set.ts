/**
 * The public signature keys of one issuer, taken from a JWKS (RFC 7517). Whatever else the document holds is left out and
 * said: a private or symmetric key there is a leak of the issuer's, and must never become a key that verifies.
 */
import { createLocalJWKSet } from 'jose'
import type { JWK } from 'jose'

/** An issuer publishes a handful of keys in a few kilobytes; beyond this the document is not a key set. */
export const KEY_SET_BYTES_MAX = 512 * 1024
const KEYS_MAX = 100

/** A key id is stored in records and compared on every token. */
export const KEY_ID_LENGTH_MAX = 128

/** Base64url length of an 8192-bit modulus: verifying with a longer one costs the gateway, not the attacker. */
const RSA_MODULUS_LENGTH_MAX = 1_366

/** Base64url length of a 32-bit exponent; 65537, the usual one, needs 4. */
const RSA_EXPONENT_LENGTH_MAX = 6

export interface KeySet {
  /** Finds the key of a header; throws jose's errors when there is none or more than one. */
  readonly find: ReturnType<typeof createLocalJWKSet>
  readonly keys: readonly JWK[]
  /** Same text, same keys. */
  readonly fingerprint: string
  /** Keys that were left out and should not have been there. */
  readonly problems: readonly string[]
}

/** The document is not a key set at all; the message says what to fix. */
export class KeySetInvalid extends Error {
  override readonly name = 'KeySetInvalid'
}

export function parseKeySet(text: string): KeySet {
  if (Buffer.byteLength(text) > KEY_SET_BYTES_MAX) {
    throw new KeySetInvalid(`is larger than ${KEY_SET_BYTES_MAX} bytes; publish only the keys in use`)
  }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (cause) {
    throw new KeySetInvalid('is not JSON; a JWKS document {"keys": [...]} is needed', { cause })
  }
  const members = isMembers(document) ? document['keys'] : undefined
  if (!Array.isArray(members)) throw new KeySetInvalid('has no list "keys"; a JWKS document {"keys": [...]} is needed')
  if (members.length > KEYS_MAX) {
    throw new KeySetInvalid(`has ${members.length} keys; at most ${KEYS_MAX} are accepted`)
  }
  return toKeySet(members)
}

function toKeySet(members: readonly unknown[]): KeySet {
  const keys: JWK[] = []
  const problems: string[] = []
  for (const [index, member] of members.entries()) {
    const read = readKey(member)
    if (read.kind === 'key') keys.push(read.key)
    else if (read.kind === 'problem') problems.push(`keys[${index}]: ${read.problem}`)
  }
  return { find: createLocalJWKSet({ keys }), keys, fingerprint: JSON.stringify(keys), problems }
}

type ReadKey =
  | { readonly kind: 'key'; readonly key: JWK }
  /** A lawful member that is of no use here, such as an encryption key. */
  | { readonly kind: 'other' }
  | { readonly kind: 'problem'; readonly problem: string }

/** Members of private (RFC 7518 sections 6.2.2, 6.3.2, RFC 9964) and of symmetric keys (section 6.4). */
const SECRET_MEMBERS = ['d', 'p', 'q', 'dp', 'dq', 'qi', 'oth', 'k', 'priv'] as const

function readKey(member: unknown): ReadKey {
  if (!isMembers(member)) return problem('not an object')
  const { kty, kid, use, alg, n, e, crv, x, y, key_ops: operations } = member
  if (kty === 'oct' || SECRET_MEMBERS.some((name) => Object.hasOwn(member, name))) {
    return problem('a private or symmetric key is published; revoke it, and publish public keys only')
  }
  // RFC 7517 section 5: members with a `kty`, `use` or purpose that is not understood are ignored.
  if (kty !== 'RSA' && kty !== 'EC' && kty !== 'OKP') return { kind: 'other' }
  if (use !== undefined && use !== 'sig' && use !== 'jwt-svid') return { kind: 'other' }
  if (Array.isArray(operations) && !operations.includes('verify')) return { kind: 'other' }
  if (kid !== undefined && (typeof kid !== 'string' || kid.length > KEY_ID_LENGTH_MAX)) {
    return problem(`kid is not a string of at most ${KEY_ID_LENGTH_MAX} characters`)
  }
  if (kty === 'RSA' && (longerThan(n, RSA_MODULUS_LENGTH_MAX) || longerThan(e, RSA_EXPONENT_LENGTH_MAX))) {
    return problem('an RSA key of more than 8192 bits, or with an exponent of more than 32')
  }
  // Only what a public key needs is copied. SPIFFE bundles say `jwt-svid` where everyone else says `sig`.
  const wanted = kty === 'RSA' ? { n, e } : kty === 'EC' ? { crv, x, y } : { crv, x }
  const strings = stringsOf({ ...wanted, kid, alg })
  const complete = Object.keys(wanted).every((name) => Object.hasOwn(strings, name))
  return complete ? { kind: 'key', key: { ...strings, kty, use: 'sig' } } : problem(`an ${kty} key is incomplete`)
}

function longerThan(value: unknown, max: number): boolean {
  return typeof value === 'string' && value.length > max
}

function stringsOf(members: Readonly<Record<string, unknown>>): Record<string, string> {
  const strings: Record<string, string> = {}
  for (const [name, value] of Object.entries(members)) if (typeof value === 'string') strings[name] = value
  return strings
}

function problem(text: string): ReadKey {
  return { kind: 'problem', problem: text }
}

function isMembers(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
