/**
 * Upstreams are asked for plain bytes (`accept-encoding: identity`); some compress all the same.
 */
import { Readable, pipeline } from 'node:stream'
import type { Transform } from 'node:stream'
import { createBrotliDecompress, createGunzip, createInflate, createZstdDecompress } from 'node:zlib'

import { UpstreamFailure } from '../../domain/failures.ts'

const DECODERS: ReadonlyMap<string, () => Transform> = new Map<string, () => Transform>([
  ['gzip', createGunzip],
  ['x-gzip', createGunzip],
  ['br', createBrotliDecompress],
  ['deflate', createInflate],
  ['zstd', createZstdDecompress],
])

/** The plain bytes, or undefined when the encoding is not known. Back-pressure holds, so no bomb fills the memory. */
export function decodedBody(
  body: AsyncIterable<Uint8Array>,
  encoding: string,
  upstream: string,
): AsyncIterable<Uint8Array> | undefined {
  const name = encoding.trim().toLowerCase()
  if (name === '' || name === 'identity') return body
  const decoder = DECODERS.get(name)
  return decoder && decode(body, decoder(), upstream)
}

async function* decode(
  body: AsyncIterable<Uint8Array>,
  decoder: Transform,
  upstream: string,
): AsyncGenerator<Uint8Array, void> {
  // The callback is required; the error itself reaches the loop below.
  pipeline(Readable.from(body), decoder, () => undefined)
  try {
    yield* decoder
  } catch (error) {
    if (error instanceof UpstreamFailure) throw error
    const message = `upstream ${upstream}: its compressed answer cannot be read`
    throw new UpstreamFailure(message, { kind: 'bad_response', sent: true, cause: error })
  }
}
