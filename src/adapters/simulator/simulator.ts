/**
 * A model provider without a model: a real HTTP server on a loopback port that speaks both dialects, answers the same
 * request with the same text, counts tokens truly, streams real server-sent events and fails when asked to (see
 * `directives.ts`). It stands in for providers in the first minutes of a newcomer, in demonstrations and in tests.
 */
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'

import { DIALECTS } from '../../dialects/registry.ts'
import type { DialectName } from '../../domain/ask.ts'
import type { Simulation } from '../../domain/policy/policy.ts'
import type { TokenCounter } from '../../ports.ts'
import { anthropicFormat } from './anthropic-format.ts'
import { CallLog } from './call-log.ts'
import type { SimulatorStats } from './call-log.ts'
import { deliver } from './delivery.ts'
import { openaiFormat } from './openai-format.ts'
import { planCall } from './simulated-call.ts'
import type { WireFormat } from './wire-format.ts'

/** One simulated provider. */
export interface SimulatedUpstream {
  /** The provider's own names of its models. */
  readonly models: readonly string[]
  readonly simulation: Simulation
}

export interface SimulatorOptions {
  /** Counts input tokens; without it they are guessed from the bytes. */
  readonly counter?: TokenCounter
  /** Served at the root. */
  readonly root?: SimulatedUpstream
  /** Served under `/<name>`: looked up on every request, so that a policy can add one while this runs. */
  readonly upstreamNamed?: (name: string) => SimulatedUpstream | undefined
}

export interface Simulator extends AsyncDisposable {
  /** `http://127.0.0.1:<port>`; the root's routes are under `/v1`, an upstream's under `/<name>/v1`. */
  readonly url: string
  stats(): SimulatorStats
}

export const DEFAULT_SIMULATION: Simulation = { latencyMs: 0, tokensPerSecond: 0, outputTokens: 64 }

export const DEFAULT_MODELS = ['sim-small', 'sim-large', 'sim-claude', 'sim-expensive'] as const

const DEFAULT_ROOT: SimulatedUpstream = { models: DEFAULT_MODELS, simulation: DEFAULT_SIMULATION }

/** Anthropic takes 32 MB; a little more, so that the gateway's own bound is the one that is met first. */
const BODY_BYTES_MAX = 64 * 1024 * 1024

const ROUTE = /^(?:\/([^/]+))?\/v1\/(chat\/completions|messages|models)$/

const FORMATS: Record<DialectName, WireFormat> = {
  'openai-chat': openaiFormat,
  'anthropic-messages': anthropicFormat,
}

export async function startSimulator(options: SimulatorOptions = {}): Promise<Simulator> {
  const simulation = new SimulatorServer(options)
  const server = createServer((request, response) => void simulation.serve(request, response))
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${portOf(server)}`,
    stats: () => simulation.log.stats(),
    [Symbol.asyncDispose]: async () => {
      simulation.stop()
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

class SimulatorServer {
  readonly log = new CallLog()
  readonly #options: SimulatorOptions
  readonly #stopped = new AbortController()

  constructor(options: SimulatorOptions) {
    this.#options = options
  }

  stop(): void {
    this.#stopped.abort()
  }

  async serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    try {
      await this.#route(request, response, AbortSignal.any([gone.signal, this.#stopped.signal]))
    } catch {
      // The caller has gone, or the simulator stops: nobody is left to tell.
      response.destroy()
    }
  }

  async #route(request: IncomingMessage, response: ServerResponse, signal: AbortSignal): Promise<void> {
    const [path = ''] = (request.url ?? '').split('?')
    const [matched, name, route] = ROUTE.exec(path) ?? []
    const dialect = dialectOf(route, request)
    const format = FORMATS[dialect]
    const reply = new Reply({ response, format, requestId: this.log.nextRequestId() })
    const upstream = name === undefined ? (this.#options.root ?? DEFAULT_ROOT) : this.#named(name)
    if (matched === undefined || upstream === undefined) reply.error(404, `Unknown request URL: ${path}`)
    else if (route === 'models') reply.json(200, format.models(upstream.models))
    else if (request.method !== 'POST') reply.error(405, 'Use POST.')
    else await this.#call({ request, reply, dialect, upstream, path, signal })
  }

  #named(name: string): SimulatedUpstream | undefined {
    return this.#options.upstreamNamed?.(decodeURIComponent(name))
  }

  async #call({ request, reply, dialect, upstream, path, signal }: CallContext): Promise<void> {
    const body = await readBody(request)
    if (body === undefined) return reply.error(413, 'The request is too large.')
    const { simulation, models } = upstream
    const call = await planCall({ dialect: DIALECTS[dialect], body, simulation, counter: this.#options.counter })
    if ('kind' in call) return reply.error(400, call.message)
    const { model, stream } = call.ask
    const entry = this.log.open({ path, model, stream })
    const refuse = (status: number, message: string) => {
      entry.end('error')
      reply.error(status, message)
    }
    if (!models.includes(model)) return refuse(404, `The model \`${model}\` does not exist.`)
    const { status } = call.directives
    if (status !== undefined) return refuse(status, `Simulated status ${status}.`)
    try {
      const { response, format } = reply.open()
      entry.end(await deliver({ call, format, response, signal, onToken: () => entry.token() }))
    } catch (error) {
      entry.end('aborted')
      throw error
    }
  }
}

interface CallContext {
  readonly request: IncomingMessage
  readonly reply: Reply
  readonly dialect: DialectName
  readonly upstream: SimulatedUpstream
  readonly path: string
  readonly signal: AbortSignal
}

/** `/models` is one path in both dialects: only one vendor's clients send a version. */
function dialectOf(route: string | undefined, request: IncomingMessage): DialectName {
  const anthropic = route === 'messages' || (route !== 'chat/completions' && 'anthropic-version' in request.headers)
  return anthropic ? 'anthropic-messages' : 'openai-chat'
}

interface ReplyParts {
  readonly response: ServerResponse
  readonly format: WireFormat
  readonly requestId: string
}

class Reply {
  readonly #parts: ReplyParts

  constructor(parts: ReplyParts) {
    this.#parts = parts
    parts.response.setHeader(parts.format.requestIdHeader, parts.requestId)
  }

  open(): ReplyParts {
    return this.#parts
  }

  error(status: number, message: string): void {
    if (status === 429) this.#parts.response.setHeader('retry-after', '1')
    this.json(status, this.#parts.format.error(status, message, this.#parts.requestId))
  }

  json(status: number, body: string): void {
    this.#parts.response.writeHead(status, { 'content-type': 'application/json' }).end(body)
  }
}

async function readBody(request: IncomingMessage): Promise<Uint8Array | undefined> {
  const chunks: Buffer[] = []
  let bytes = 0
  // Not destroyed when too large: the answer still has to go out over the same socket.
  for await (const chunk of request.iterator({ destroyOnReturn: false })) {
    const piece = Buffer.from(chunk)
    bytes += piece.length
    if (bytes > BODY_BYTES_MAX) return undefined
    chunks.push(piece)
  }
  return Buffer.concat(chunks)
}
