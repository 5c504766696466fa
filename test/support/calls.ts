/**
 * Calls as plain HTTP, for tests that look at bytes and connections.
 */
import { once } from 'node:events'
import { request } from 'node:http'
import type { IncomingMessage } from 'node:http'

export interface Ask {
  readonly url: string
  readonly token: string
  readonly body: object
  readonly path?: string
  readonly signal?: AbortSignal
}

const JSON_TYPE = 'application/json'

/** One whole call. */
export function post({ url, token, body, path = '/v1/chat/completions', signal }: Ask): Promise<Response> {
  return fetch(`${url}${path}`, {
    method: 'POST',
    headers: { authorization: `Bearer ${token}`, 'content-type': JSON_TYPE, 'anthropic-version': '2023-06-01' },
    body: JSON.stringify(body),
    ...(signal && { signal }),
  })
}

/** A chat request whose last message steers the simulator. */
export function chat(directives: string, more: object = {}): object {
  return { model: 'sim-small', messages: [{ role: 'user', content: `[[simulate ${directives}]]` }], ...more }
}

export interface OpenStream {
  readonly status: number
  readonly id: string
  /** Resolves once that many events with output have come. */
  seen(events: number): Promise<void>
  /** What has come so far. */
  text(): string
  /** Leaves without reading on. */
  leave(): void
  /** Resolves when the connection is done: whether the answer ended as HTTP says it must. */
  readonly ended: Promise<'clean' | 'broken'>
}

const OUTPUT = /"delta":\{"(?:content":"(?!")|type":"text_delta)/g

/** Opens a stream on a connection of its own. */
export async function openStream({ url, token, body, path = '/v1/chat/completions' }: Ask): Promise<OpenStream> {
  const outgoing = request(`${url}${path}`, {
    method: 'POST',
    agent: false,
    headers: { authorization: `Bearer ${token}`, 'content-type': JSON_TYPE, 'anthropic-version': '2023-06-01' },
  })
  outgoing.end(JSON.stringify(body))
  // The event carries one value, the answer.
  const [response] = (await once(outgoing, 'response')) as [IncomingMessage]
  return follow(response)
}

function follow(response: IncomingMessage): OpenStream {
  let text = ''
  const outputEvents = () => text.match(OUTPUT)?.length ?? 0
  response.setEncoding('utf8').on('data', (chunk: string) => void (text += chunk))
  // A cut connection is an answer here, not a failure.
  response.on('error', () => undefined)
  const ended = new Promise<'clean' | 'broken'>((resolve) => {
    response.once('close', () => resolve(response.complete ? 'clean' : 'broken'))
  })
  return {
    status: response.statusCode ?? 0,
    id: String(response.headers['x-request-id']),
    async seen(events) {
      while (outputEvents() < events) {
        if (response.closed) throw new Error(`the stream ended after ${outputEvents()} events: ${text.slice(-500)}`)
        await Promise.race([once(response, 'data'), ended])
      }
    },
    text: () => text,
    leave: () => void response.destroy(),
    ended,
  }
}
