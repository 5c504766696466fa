import { UpstreamFailure } from '../../domain/failures.ts'

/** Largest whole answer taken into memory. Providers' largest text answers are a few megabytes. */
const ANSWER_BYTES_MAX = 64 * 1024 * 1024

/** Reads a whole answer; fails when it is larger than any real one. */
export async function collect(body: AsyncIterable<Uint8Array>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = []
  let size = 0
  for await (const chunk of body) {
    size += chunk.length
    if (size > ANSWER_BYTES_MAX) throw new UpstreamFailure('answer too large', { kind: 'bad_response', sent: true })
    chunks.push(chunk)
  }
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)
}
