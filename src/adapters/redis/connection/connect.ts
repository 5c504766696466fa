/**
 * Connects to what the configuration names: one Redis, the primary that Sentinels name, or a Cluster. Behind all three the
 * ledger sees the same commands.
 */
import { Redis } from 'ioredis'
import type { RedisOptions } from 'ioredis'

import { CONNECT_TIMEOUT_MS, OneRedis } from './client.ts'
import type { RedisCommands } from './client.ts'
import { RedisCluster } from './cluster.ts'
import { mustReconnect } from './redis-fault.ts'
import type { Endpoint } from './redirection.ts'

/** Where the ledger's store is. */
export type RedisPlace =
  /** `redis://` or `rediss://`, with credentials if need be. */
  | { readonly url: string }
  /** The primary that these Sentinels know by this name, also after a failover. */
  | { readonly sentinels: readonly Endpoint[]; readonly name: string; readonly sentinelPassword?: string | undefined }
  /** Some nodes of a Cluster; the others are found through them. */
  | { readonly nodes: readonly Endpoint[] }

export interface RedisAccess {
  readonly username?: string | undefined
  readonly password?: string | undefined
  /** TLS; with the certificates (PEM) of the authority that is to be trusted, or those of the system. */
  readonly tls?: { readonly ca?: string | undefined } | undefined
  /** Bound of one command. */
  readonly commandTimeoutMs?: number | undefined
}

/** Default bound of one command: a hundred times a slow answer, a tenth of what a caller would notice as a hang. */
const COMMAND_TIMEOUT_MS = 100

/** Longest pause between two attempts to connect: a store that is back is used within a second. */
const RECONNECT_MS_MAX = 1_000

const pause = (attempt: number) => Math.min(attempt * 50, RECONNECT_MS_MAX)

const OPTIONS = {
  // No `commandTimeout`: it fails commands whose answer waits to be read; see `AnswerBound`.
  connectTimeout: CONNECT_TIMEOUT_MS,
  enableOfflineQueue: false,
  // ioredis itself writes concurrent commands without waiting; its automatic pipelines keep one in flight and cost a
  // third of the throughput with these scripts.
  enableAutoPipelining: false,
  // With false a command whose connection breaks stays pending for ever in ioredis 6.0.0 (issue 2193).
  autoResendUnfulfilledCommands: true,
  maxRetriesPerRequest: 1,
  retryStrategy: pause,
  sentinelRetryStrategy: pause,
  // A demoted primary keeps its connections for a while; the Sentinels say at once that there is another.
  failoverDetector: true,
  reconnectOnError: mustReconnect,
  protocol: 2,
  // The parser of ioredis 6.0.0 reads integer replies near 2^53 one off; as text they are exact.
  stringNumbers: true,
  connectionName: 'tollgate-ledger',
} as const satisfies RedisOptions

/** Connects in the background; throws when the place cannot be one. */
export function connectRedis(place: RedisPlace & RedisAccess): RedisCommands {
  const commandTimeoutMs = place.commandTimeoutMs ?? COMMAND_TIMEOUT_MS
  if (!Number.isSafeInteger(commandTimeoutMs) || commandTimeoutMs < 1) {
    throw new RangeError('ledger.commandTimeoutMs: must be a whole number of milliseconds above 0')
  }
  const options = { ...OPTIONS, ...accessOptions(place) }
  if ('url' in place) {
    assertRedisUrl(place.url)
    // ioredis reads "with TLS" off the scheme and then forgets whom to trust: what is given with `tls` counts.
    const url = place.tls === undefined ? place.url : place.url.replace(/^rediss:/, 'redis:')
    return new OneRedis(new Redis(url, options), commandTimeoutMs)
  }
  if ('sentinels' in place) {
    return new OneRedis(new Redis({ ...options, ...sentinelOptions(place) }), commandTimeoutMs)
  }
  const connect = ({ host, port }: Endpoint) => new OneRedis(new Redis({ ...options, host, port }), commandTimeoutMs)
  return new RedisCluster(place.nodes, connect)
}

function accessOptions({ username, password, tls }: RedisAccess): Pick<RedisOptions, 'username' | 'password' | 'tls'> {
  return {
    ...(username !== undefined && { username }),
    ...(password !== undefined && { password }),
    ...(tls !== undefined && { tls: tls.ca === undefined ? {} : { ca: tls.ca } }),
  }
}

function sentinelOptions(
  place: Extract<RedisPlace, { sentinels: unknown }> & RedisAccess,
): Pick<RedisOptions, 'sentinels' | 'name' | 'sentinelPassword' | 'enableTLSForSentinelMode' | 'sentinelTLS'> {
  const { sentinels, name, sentinelPassword, tls } = place
  return {
    // ioredis rotates its own list.
    sentinels: [...sentinels],
    name,
    ...(sentinelPassword !== undefined && { sentinelPassword }),
    ...(tls !== undefined && {
      enableTLSForSentinelMode: true,
      sentinelTLS: tls.ca === undefined ? {} : { ca: tls.ca },
    }),
  }
}

/** Rejects what ioredis would read as a path or a host name without a word. */
function assertRedisUrl(url: string): void {
  const parsed = URL.parse(url)
  if (parsed && (parsed.protocol === 'redis:' || parsed.protocol === 'rediss:') && parsed.hostname) return
  throw new RangeError('ledger.url: must look like redis://host:6379 or rediss://user:password@host:6379')
}
