import type { IncomingMessage } from 'node:http'
import { refuse } from '../domain/refusal.ts'
import type { Refusal } from '../domain/refusal.ts'

/** Largest request body: Anthropic's own limit for messages (32 MB), the larger of the two vendors'. */
const BODY_BYTES_MAX = 32 * 1024 * 1024

/** Reads a body whole, once, as the bytes it came in. A larger one is refused as soon as that is known. */
export async function readBody(request: IncomingMessage): Promise<Uint8Array | Refusal> {
  const encoding = request.headers['content-encoding']
  if (encoding !== undefined && encoding !== 'identity') return compressed()
  if (Number(request.headers['content-length'] ?? 0) > BODY_BYTES_MAX) return tooLarge()
  return new Promise((resolve, reject) => {
    const chunks: Buffer[] = []
    let size = 0
    request.on('data', (chunk: Buffer) => {
      size += chunk.length
      // What is over the limit is read and dropped, so that the client can finish sending and read its refusal.
      if (size <= BODY_BYTES_MAX) chunks.push(chunk)
      else chunks.length = 0
    })
    request.on('end', () => resolve(size > BODY_BYTES_MAX ? tooLarge() : join(chunks, size)))
    request.on('error', reject)
    request.on('aborted', () => reject(new Error('the caller left while sending')))
  })
}

function join(chunks: readonly Buffer[], size: number): Uint8Array {
  const [only] = chunks
  return chunks.length === 1 && only !== undefined ? only : Buffer.concat(chunks, size)
}

function tooLarge(): Refusal {
  return refuse('request_too_large', `The body is larger than ${BODY_BYTES_MAX} bytes. Send a shorter request.`)
}

function compressed(): Refusal {
  return refuse('invalid_request', 'Compressed bodies are not accepted. Send the body without content-encoding.', {
    field: 'content-encoding',
  })
}
