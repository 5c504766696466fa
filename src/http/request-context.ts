import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Call } from '../domain/call.ts'
import type { RefusalContext } from '../domain/dialect.ts'
import { RUN_HEADER } from '../domain/ledger/run.ts'
import type { Clock, Ids } from '../ports.ts'
import { readCredential } from './credential.ts'
import { readBody } from './request-body.ts'

/** Headers that belong to a wire format and go upstream as they are; no other header of the caller does. */
const WIRE_HEADERS = ['anthropic-version', 'anthropic-beta'] as const

/** The call that a request makes; nothing of it is believed yet. */
export function readCall(request: IncomingMessage, endpoint: string, world: { clock: Clock; ids: Ids }): Call {
  return {
    id: world.ids.next(),
    startedAtMs: world.clock.nowMs(),
    credential: readCredential(request),
    endpoint,
    wireHeaders: wireHeaders(request),
    run: headerText(request, RUN_HEADER),
    ip: request.socket.remoteAddress ?? '',
    readBody: () => readBody(request),
  }
}

/** Node joins repeated headers of this kind by commas, which no name of a run has. */
function headerText({ headers }: IncomingMessage, name: string): string | undefined {
  const value = headers[name]
  return typeof value === 'string' ? value : undefined
}

function wireHeaders(request: IncomingMessage): Readonly<Record<string, string>> {
  const found: Record<string, string> = {}
  for (const name of WIRE_HEADERS) {
    const value = headerText(request, name)
    if (value !== undefined) found[name] = value
  }
  return found
}

const RETRY_COUNT = /^\d{1,3}$/

/** What steers retry advice: how often this client has tried, and which client it is. */
export function readRefusalContext(request: IncomingMessage, requestId: string): Omit<RefusalContext, 'receipt'> {
  const count = request.headers['x-stainless-retry-count']
  return {
    requestId,
    retryCount: typeof count === 'string' && RETRY_COUNT.test(count) ? Number(count) : 0,
    isClaudeCode: (request.headers['user-agent'] ?? '').startsWith('claude-cli'),
  }
}

/** A signal that is aborted when the caller leaves before its answer is whole. */
export function callerGone(response: ServerResponse): AbortSignal {
  const controller = new AbortController()
  response.on('close', () => {
    if (!response.writableFinished) controller.abort()
  })
  return controller.signal
}
