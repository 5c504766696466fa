/**
 * Builds the head of a provider call with the provider's own SDK: address, authentication and API version are the SDK's
 * business. The SDK runs once per upstream, key and route with a `fetch` that only notes what it was given; the bytes of
 * every call then travel under that head (the SDK's own path costs more than the whole relay).
 */
import Anthropic from '@anthropic-ai/sdk'
import OpenAI from 'openai'

import type { DialectName } from '../../domain/ask.ts'

/** Where and under which headers a call goes. */
export interface RequestHead {
  readonly origin: string
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
}

export interface HeadRequest {
  readonly dialect: DialectName
  /** Null means the SDK's own address of the vendor. */
  readonly baseUrl: string | null
  readonly secret: string
  readonly stream: boolean
  readonly userAgent: string
}

/** The head could not be built. Its message never contains the secret. */
export class HeadFault extends Error {
  override readonly name = 'HeadFault'
}

/**
 * What is kept of the SDK's headers. Left out: the SDK's telemetry (`x-stainless-*`), its user agent, and whatever
 * `OPENAI_CUSTOM_HEADERS` or `ANTHROPIC_CUSTOM_HEADERS` put in: the environment is read in one place only.
 */
const KEPT_HEADERS = ['accept', 'authorization', 'content-type', 'anthropic-version', 'x-api-key'] as const

/** Visible ASCII: what a header value can carry without the SDK failing with the secret in its message. */
const HEADER_SAFE = /^[\u0021-\u007e]+$/

type Fetch = (input: string | URL | Request, init?: RequestInit) => Promise<Response>

/** One entry per route: the typed call that makes the SDK write its head. The body is never sent. */
const ROUTES: Record<DialectName, (request: HeadRequest, fetch: Fetch) => Promise<unknown>> = {
  'openai-chat': ({ baseUrl, secret, stream }, fetch) =>
    new OpenAI({
      apiKey: secret,
      adminAPIKey: null,
      organization: null,
      project: null,
      webhookSecret: null,
      baseURL: baseUrl,
      maxRetries: 0,
      logLevel: 'off',
      fetch,
    }).chat.completions.create({ model: 'head', messages: [], stream }),
  'anthropic-messages': ({ baseUrl, secret, stream }, fetch) =>
    new Anthropic({
      apiKey: secret,
      authToken: null,
      webhookKey: null,
      baseURL: baseUrl,
      maxRetries: 0,
      logLevel: 'off',
      openTelemetry: false,
      fetch,
    }).messages.create({ model: 'head', max_tokens: 1, messages: [], stream }),
}

export async function buildHead(request: HeadRequest): Promise<RequestHead> {
  if (!HEADER_SAFE.test(request.secret)) {
    throw new HeadFault('the secret is empty or has characters that a header cannot carry; check its source')
  }
  const seen = await capture(request)
  if (seen === undefined) throw new HeadFault('the SDK refused to build a request; check the base URL')
  const headers: Record<string, string> = { 'user-agent': request.userAgent, 'accept-encoding': 'identity' }
  for (const name of KEPT_HEADERS) {
    const value = seen.headers.get(name)
    if (value !== null) headers[name] = value
  }
  if (!Object.values(headers).some((value) => value.includes(request.secret))) {
    throw new HeadFault('the SDK did not use the configured key; unset *_CUSTOM_HEADERS in the environment')
  }
  return { origin: seen.url.origin, path: seen.url.pathname + seen.url.search, headers }
}

interface Seen {
  readonly url: URL
  readonly headers: Headers
}

async function capture(request: HeadRequest): Promise<Seen | undefined> {
  let seen: Seen | undefined
  const fetch: Fetch = (input, init) => {
    const url = new URL(input instanceof Request ? input.url : input)
    seen = { url, headers: new Headers(init?.headers) }
    const type = request.stream ? 'text/event-stream' : 'application/json'
    return Promise.resolve(new Response('{}', { headers: { 'content-type': type } }))
  }
  try {
    await ROUTES[request.dialect](request, fetch)
  } catch {
    // Errors of the SDK can quote headers, and so the secret: what matters is whether it got as far as sending.
  }
  return seen
}
