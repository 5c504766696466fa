/**
 * Sends calls to the configured providers and to the simulator: the SDK writes the head, undici carries the caller's
 * bytes. Never retries, never follows a redirect, never passes on a credential or a cookie of the caller.
 */
import { Agent } from 'undici'
import type { Dispatcher } from 'undici'

import type { Upstream, UpstreamKey } from '../../domain/policy/policy.ts'
import { UpstreamFailure } from '../../domain/failures.ts'
import type { UpstreamCall, UpstreamReply, Upstreams } from '../../ports.ts'
import { decodedBody } from './decoded-body.ts'
import { UPSTREAM_TIMEOUTS, exchange } from './exchange.ts'
import type { ExchangeReply, UpstreamTimeouts } from './exchange.ts'
import { HeadFault, buildHead } from './request-head.ts'
import type { HeadRequest, RequestHead } from './request-head.ts'

export interface UpstreamsOptions {
  /** The connection pool of a provider, guarded against private destinations; disposed by whoever made it. */
  readonly dispatcherFor: (upstream: Upstream) => Dispatcher
  /** The present secret of a key; asked for on every call, so that a rotated secret is used at once. */
  readonly secretOf: (key: UpstreamKey) => string | undefined
  /** Address of the simulator; its upstreams live under `<simulatorUrl>/<upstream name>`. */
  readonly simulatorUrl?: string
  readonly timeouts?: UpstreamTimeouts
  /** `tollgate/<version>`: the provider sees the gateway and not the caller's client. */
  readonly userAgent?: string
}

/** Headers of the caller that belong to the wire format; whatever else is handed in stays here. */
const FORWARDED_HEADERS = ['anthropic-version', 'anthropic-beta'] as const

/** Limits of the shared key, cookies and hop-by-hop headers are not the caller's business: nothing else is relayed. */
const RELAYED_HEADERS = ['content-type', 'retry-after', 'retry-after-ms', 'x-should-retry'] as const

const REQUEST_ID_HEADERS = ['x-request-id', 'request-id'] as const

/** The simulator needs no secret; the SDKs insist on one. */
const SIMULATOR_SECRET = 'simulator'

/** Loopback connects in microseconds; the bound is the one real providers get. */
const CONNECT_TIMEOUT_MS = 10_000

export function createUpstreams(options: UpstreamsOptions): Upstreams {
  return new ProviderUpstreams(options)
}

interface BuiltHead {
  readonly secret: string
  readonly head: Promise<RequestHead>
}

class ProviderUpstreams implements Upstreams {
  readonly #options: UpstreamsOptions
  readonly #simulatorAgent = new Agent({ connect: { timeout: CONNECT_TIMEOUT_MS }, allowH2: false })
  /** Heads by upstream, then by route and key: as long-lived as the policy that names the upstream. */
  readonly #heads = new WeakMap<Upstream, Map<string, BuiltHead>>()

  constructor(options: UpstreamsOptions) {
    this.#options = options
  }

  async send(call: UpstreamCall): Promise<UpstreamReply> {
    const head = await this.#headOf(call)
    const { upstream, body, signal } = call
    const reply = await exchange({
      upstream: upstream.name,
      dispatcher: upstream.provider === 'simulator' ? this.#simulatorAgent : this.#options.dispatcherFor(upstream),
      head,
      headers: pick(call.headers, FORWARDED_HEADERS),
      body,
      timeouts: this.#options.timeouts ?? UPSTREAM_TIMEOUTS,
      signal,
    })
    return toReply(reply, upstream.name)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#simulatorAgent.destroy()
  }

  #headOf(call: UpstreamCall): Promise<RequestHead> {
    const { upstream, dialect, stream } = call
    const [key] = upstream.keys
    const secret = upstream.provider === 'simulator' ? SIMULATOR_SECRET : key && this.#options.secretOf(key)
    if (secret === undefined) {
      return Promise.reject(headFailure(upstream, 'no secret is configured for its key'))
    }
    const heads = this.#heads.get(upstream) ?? new Map<string, BuiltHead>()
    this.#heads.set(upstream, heads)
    const route = `${dialect} ${stream} ${key?.id ?? ''}`
    const known = heads.get(route)
    if (known?.secret === secret) return known.head
    const head = this.#build(call, secret)
    heads.set(route, { secret, head })
    return head
  }

  async #build({ upstream, dialect, stream }: UpstreamCall, secret: string): Promise<RequestHead> {
    const request: HeadRequest = {
      dialect,
      baseUrl: this.#baseUrl(upstream, dialect),
      secret,
      stream,
      userAgent: this.#options.userAgent ?? 'tollgate',
    }
    try {
      return await buildHead(request)
    } catch (error) {
      throw headFailure(upstream, error instanceof HeadFault ? error.message : 'its request head cannot be built')
    }
  }

  #baseUrl(upstream: Upstream, dialect: UpstreamCall['dialect']): string | null {
    if (upstream.provider !== 'simulator') return upstream.baseUrl ?? null
    const { simulatorUrl } = this.#options
    if (simulatorUrl === undefined) throw new HeadFault('no simulator is running in this process')
    const base = `${simulatorUrl}/${encodeURIComponent(upstream.name)}`
    return dialect === 'openai-chat' ? `${base}/v1` : base
  }
}

/** Nothing was sent: the call fails as one that found no connection. */
function headFailure(upstream: Upstream, reason: string): UpstreamFailure {
  return new UpstreamFailure(`upstream ${upstream.name}: ${reason}`, { kind: 'connect', sent: false })
}

function toReply(reply: ExchangeReply, upstream: string): UpstreamReply {
  const { status, headers } = reply
  const redirects = status >= 300 && status < 400
  const body = redirects ? undefined : decodedBody(reply.body, first(headers['content-encoding']) ?? '', upstream)
  if (body === undefined) {
    reply.body.discard()
    const what = redirects ? `status ${status}; redirects are not followed` : 'an unknown content encoding'
    throw new UpstreamFailure(`upstream ${upstream}: answers with ${what}`, { kind: 'bad_response', sent: true })
  }
  return {
    status,
    headers: pick(headers, RELAYED_HEADERS),
    requestId: REQUEST_ID_HEADERS.map((name) => first(headers[name])).find((id) => id !== undefined),
    body,
  }
}

function pick(
  headers: Readonly<Record<string, string | string[] | undefined>>,
  names: readonly string[],
): Record<string, string> {
  const picked: Record<string, string> = {}
  for (const name of names) {
    const value = first(headers[name])
    if (value !== undefined) picked[name] = value
  }
  return picked
}

function first(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value.join(', ') : value
}
