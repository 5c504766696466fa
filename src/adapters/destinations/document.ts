/** Reads one small document, such as a key set, from a configured URL: through the guard, whole, in time, or not at all. */
import { request } from 'undici'
import type { Dispatcher } from 'undici'
import { checkDestination } from './destination.ts'
import { createGuardedDispatcher } from './dispatcher.ts'
import { DestinationRefused } from './guard.ts'
import type { GuardOptions } from './guard.ts'

export interface DocumentLimits {
  readonly timeoutMs: number
  readonly bytesMax: number
}

export interface DocumentFetcher extends AsyncDisposable {
  /** The document as text. Rejects with a message that says what went wrong, without the document's content. */
  fetch(url: string, limits: DocumentLimits): Promise<string>
}

export interface DocumentFetcherOptions extends Omit<GuardOptions, 'rules'> {
  /** CIDR ranges of the policy in force. The URL is configured, so it needs no other word to be allowed. */
  readonly allowPrivate: () => readonly string[]
}

/** Documents are read minutes apart. */
const CONNECTIONS_MAX = 2
const KEEP_ALIVE_MS = 1_000

export function createDocumentFetcher(options: DocumentFetcherOptions): DocumentFetcher {
  const { allowPrivate, ...guard } = options
  const rules = () => ({ allow: undefined, allowPrivate: allowPrivate() })
  const dispatcher = createGuardedDispatcher({
    ...guard,
    rules,
    connectionsMax: CONNECTIONS_MAX,
    keepAliveMs: KEEP_ALIVE_MS,
  })
  return {
    async fetch(url, limits) {
      const verdict = checkDestination(url, rules())
      if (verdict.kind === 'fault') throw new DestinationRefused(`${url}: ${verdict.problem}`)
      return fetchText({ url, limits, dispatcher })
    },
    [Symbol.asyncDispose]: () => dispatcher.destroy(),
  }
}

interface Fetching {
  readonly url: string
  readonly limits: DocumentLimits
  readonly dispatcher: Dispatcher
}

async function fetchText({ url, limits, dispatcher }: Fetching): Promise<string> {
  // One deadline over connection, headers and body: a server that drips a byte a second must not hold its caller.
  const signal = AbortSignal.timeout(limits.timeoutMs)
  const { statusCode, body } = await request(url, { dispatcher, signal, headers: { accept: 'application/json' } })
  try {
    if (statusCode !== 200) throw new Error(`${url}: answered ${statusCode}; 200 is needed, redirects are not followed`)
    return await readText({ url, bytesMax: limits.bytesMax, body })
  } finally {
    // Aborting is how the rest of an unwanted body is given up; without a listener its error would be nobody's.
    body.on('error', () => {}).destroy()
  }
}

interface Reading {
  readonly url: string
  readonly bytesMax: number
  readonly body: AsyncIterable<unknown>
}

async function readText({ url, bytesMax, body }: Reading): Promise<string> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of body) {
    if (!Buffer.isBuffer(part)) throw new Error(`${url}: answered something that is not bytes`)
    bytes += part.length
    if (bytes > bytesMax) throw new Error(`${url}: is larger than ${bytesMax} bytes`)
    parts.push(part)
  }
  return new TextDecoder('utf-8', { fatal: true }).decode(Buffer.concat(parts))
}
