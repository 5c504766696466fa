import { readFileSync } from 'node:fs'

import type { Dialect } from '../../src/domain/dialect.ts'
import type { Ask, InvalidAsk } from '../../src/domain/ask.ts'

export function fixture(path: string): Buffer {
  return readFileSync(new URL(`../fixtures/${path}`, import.meta.url))
}

export function parsed(dialect: Dialect, body: object | string | Uint8Array): Ask {
  const result = dialect.parse(toBytes(body))
  if (result.kind === 'invalid') throw new Error(`${result.field}: ${result.message}`)
  return result.ask
}

export function refused(dialect: Dialect, body: object | string | Uint8Array): InvalidAsk {
  const result = dialect.parse(toBytes(body))
  if (result.kind === 'parsed') throw new Error('the body was accepted')
  return result
}

function toBytes(body: object | string | Uint8Array): Uint8Array {
  if (body instanceof Uint8Array) return body
  return Buffer.from(typeof body === 'string' ? body : JSON.stringify(body))
}

/** Feeds a stream in pieces cut at the given offsets. */
export function relay(dialect: Dialect, ask: Ask, stream: Buffer, cuts: readonly number[]) {
  const reader = dialect.streamReader(ask)
  const out: Uint8Array[] = []
  let at = 0
  for (const cut of [...cuts, stream.length].sort((left, right) => left - right)) {
    if (cut < at || cut > stream.length) continue
    out.push(reader.push(stream.subarray(at, cut)))
    at = cut
  }
  out.push(reader.end())
  return {
    bytes: Buffer.concat(out).toString(),
    pieces: out.map((piece) => Buffer.from(piece).toString()),
    summary: reader.summary(),
    texts: reader.outputTexts(),
    beyond: reader.outputBytesBeyond(),
  }
}
