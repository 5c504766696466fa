import { Agent } from 'undici'
import { createGuardedConnector } from './guard.ts'
import type { GuardOptions } from './guard.ts'

export interface DispatcherOptions extends GuardOptions {
  /** Most connections to one origin; undefined leaves it to the calls in flight, which the ledger bounds. */
  readonly connectionsMax?: number
  /** Time a connection may idle; shorter than the minute after which providers' balancers close it. */
  readonly keepAliveMs?: number
  /** Silence before the headers, and between two parts of the body; 0 leaves it to the caller's own timers. */
  readonly headersTimeoutMs?: number
  readonly bodyTimeoutMs?: number
}

const KEEP_ALIVE_MS = 30_000

/** Ten minutes, as the providers' SDKs wait for a long answer. */
const HEADERS_TIMEOUT_MS = 600_000
const BODY_TIMEOUT_MS = 600_000

/** A pool per origin whose every connection went through the guard. Redirects are not followed: undici leaves them be. */
export function createGuardedDispatcher(options: DispatcherOptions): Agent {
  return new Agent({
    connect: createGuardedConnector(options),
    allowH2: false,
    pipelining: 1,
    connections: options.connectionsMax ?? null,
    keepAliveTimeout: options.keepAliveMs ?? KEEP_ALIVE_MS,
    headersTimeout: options.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    bodyTimeout: options.bodyTimeoutMs ?? BODY_TIMEOUT_MS,
  })
}
