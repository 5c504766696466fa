/**
 * A receipt: a compact JWS which says that the log holds a record with this hash at this place. Whoever holds one can demand
 * an inclusion proof later; a log that cannot give it is proven to have broken its word.
 */
import { sign } from 'node:crypto'
import type { KeyObject } from 'node:crypto'
import { canonicalJson } from '../../domain/audit/canonical-json.ts'
import { memberOf, recordTime } from '../../domain/audit/audit-record.ts'
import type { WrittenDraft } from '../../domain/audit/audit-record.ts'
import { publicJwk } from './log-keys.ts'
import type { ReceiptClaims } from './messages.ts'

export interface ReceiptPlace {
  readonly log: string
  readonly seq: number
  readonly timeMs: number
  readonly leafHash: Uint8Array
}

/** What a receipt says of a record: how it was decided, or what kind of record it is. */
export function claimsOf(draft: WrittenDraft): ReceiptClaims {
  const { id, type } = draft
  return { id, out: memberOf(draft['dec'], 'out') ?? type, code: memberOf(draft['dec'], 'code') }
}

/** Signs only what is durable: the caller calls it after the write is synced. */
export function receiptSigner(key: KeyObject): (claims: ReceiptClaims, place: ReceiptPlace) => string {
  const header = encode(canonicalJson({ alg: 'Ed25519', kid: publicJwk(key).kid, typ: 'audit-receipt+jwt' }))
  return (claims, place) => {
    const payload = encode(
      canonicalJson({
        iss: place.log,
        seq: place.seq,
        id: claims.id,
        t: recordTime(place.timeMs),
        lh: Buffer.from(place.leafHash).toString('base64url'),
        out: claims.out,
        code: claims.code,
      }),
    )
    const input = `${header}.${payload}`
    return `${input}.${sign(null, Buffer.from(input), key).toString('base64url')}`
  }
}

function encode(text: string): string {
  return Buffer.from(text).toString('base64url')
}
