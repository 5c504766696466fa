/**
 * Where the ledger is: in this process, in one Redis, behind Sentinels, or in a Redis Cluster. Passwords come from the
 * environment or from a URL, and no problem that is reported shows one.
 */
import { readFileSync } from 'node:fs'
import { z } from 'zod'
import type { Environment } from './environment.ts'

const REDIS_URL = /^rediss?:\/\//
const PORT_MAX = 65_535

/** A name or an address, with its port; an IPv6 address in brackets. */
const ENDPOINT = /^(\[[0-9a-fA-F:.]+\]|[A-Za-z0-9_][A-Za-z0-9_.-]*):(\d{1,5})$/

/** Longest bound of one command, in milliseconds: callers wait for it. */
const COMMAND_TIMEOUT_MS_MAX = 60_000

const endpoint = z.string().refine((text) => isPort(toEndpoint(text).port), 'must look like host:6379')

const endpoints = z.array(endpoint).min(1).max(64)

const access = {
  username: z.string().min(1).optional(),
  tls: z.strictObject({ caFile: z.string().min(1).optional() }).optional(),
  commandTimeoutMs: z.int().min(1).max(COMMAND_TIMEOUT_MS_MAX).optional(),
}

export const ledgerSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('memory') }),
  z.strictObject({
    kind: z.literal('redis'),
    url: z.string().regex(REDIS_URL, 'a redis:// or rediss:// URL').optional(),
    sentinels: endpoints.optional(),
    name: z.string().min(1).optional(),
    ...access,
  }),
  z.strictObject({ kind: z.literal('redis-cluster'), nodes: endpoints, ...access }),
])

export interface Endpoint {
  readonly host: string
  readonly port: number
}

interface Access {
  readonly username: string | undefined
  readonly password: string | undefined
  readonly tls: { readonly ca: string | undefined } | undefined
  /** Bound of one command; undefined for the ledger's own. */
  readonly commandTimeoutMs: number | undefined
}

export type LedgerConfig =
  | { readonly kind: 'memory' }
  | (Access & { readonly kind: 'redis'; readonly url: string })
  | (Access & {
      readonly kind: 'redis'
      readonly sentinels: readonly Endpoint[]
      readonly name: string
      readonly sentinelPassword: string | undefined
    })
  | (Access & { readonly kind: 'redis-cluster'; readonly nodes: readonly Endpoint[] })

type Written = z.output<typeof ledgerSchema>

interface Around {
  readonly environment: Environment
  /** Where a path of the configuration leads. */
  readonly at: (path: string) => string
}

/** The ledger, or what is wrong with it. */
export function ledgerOf(written: Written, { environment, at }: Around): LedgerConfig | string {
  if (written.kind === 'memory') return written
  const { username, commandTimeoutMs } = written
  const tls = readTls(written.tls, at)
  if (typeof tls === 'string') return tls
  const access: Access = { username, password: environment.redisPassword, tls, commandTimeoutMs }
  if (written.kind === 'redis-cluster') return { kind: written.kind, nodes: written.nodes.map(toEndpoint), ...access }
  const { sentinels, name } = written
  if (sentinels === undefined) return oneRedis(written, environment, access)
  if (written.url !== undefined) return 'ledger.url: with sentinels there is no url: they know where the primary is'
  if (name === undefined) return 'ledger.name: missing; the name by which the sentinels know the primary'
  const { redisSentinelPassword: sentinelPassword } = environment
  return { kind: 'redis', sentinels: sentinels.map(toEndpoint), name, sentinelPassword, ...access }
}

function oneRedis(
  written: Extract<Written, { kind: 'redis' }>,
  environment: Environment,
  access: Access,
): LedgerConfig | string {
  if (written.name !== undefined) return 'ledger.name: only with sentinels'
  const url = written.url ?? environment.redisUrl
  if (url === undefined) return 'ledger.url: missing; set it, or REDIS_URL, or REDIS_URL_FILE'
  // Never the value: it may carry a password.
  if (!REDIS_URL.test(url)) return 'REDIS_URL: a redis:// or rediss:// URL'
  return { kind: 'redis', url, ...access }
}

function readTls(tls: { caFile?: string | undefined } | undefined, at: Around['at']): Access['tls'] | string {
  if (tls?.caFile === undefined) return tls === undefined ? undefined : { ca: undefined }
  try {
    const ca = readFileSync(at(tls.caFile), 'utf8')
    return ca.includes('-----BEGIN CERTIFICATE-----') ? { ca } : 'ledger.tls.caFile: holds no certificate in PEM'
  } catch {
    return `ledger.tls.caFile: ${tls.caFile}: cannot be read`
  }
}

function toEndpoint(text: string): Endpoint {
  const [, host = '', port] = ENDPOINT.exec(text) ?? []
  return { host: host.replace(/^\[(.*)\]$/, '$1'), port: Number(port) }
}

function isPort(port: number): boolean {
  return port >= 1 && port <= PORT_MAX
}
