/**
 * The HTTP face: routes in order of heat, few middlewares, nothing on that a call does not need.
 */
import type { RequestListener, ServerResponse } from 'node:http'
import express from 'express'
import type { Express } from 'express'
import { anthropicMessages } from '../dialects/anthropic-messages.ts'
import { openaiChat } from '../dialects/openai-chat.ts'
import type { World } from '../ports.ts'
import type { Dialects } from './caller.ts'
import { frontDoor } from './front-door.ts'
import type { HotRoute } from './front-door.ts'
import { live, ready } from './health.ts'
import { inference } from './inference.ts'
import { limits } from './limits.ts'
import { getModel, listModels } from './models.ts'
import { failure, unknownRoute, wrongMethod } from './unknown-route.ts'

const dialects: Dialects = { openai: openaiChat, anthropic: anthropicMessages }

/** Clients disagree on whether their base URL ends in /v1, so every route answers with it, without it, and doubled. */
const PREFIXES = ['/v1', '', '/v1/v1']

export interface AppParts {
  readonly world: World
  readonly draining: () => boolean
  /** Writes the metrics in Prometheus' text format. */
  readonly metrics: { readonly contentType: string; read(): Promise<string> }
  /** Whether operators have a port of their own; else they are served with everybody. */
  readonly adminApart: boolean
}

/** What callers reach. Holds no state of its own. */
export function createApp(parts: AppParts): RequestListener {
  const { world } = parts
  const app = bare(parts)
  const hot = new Map<string, HotRoute>()
  const hotRoute = (path: string, route: HotRoute) => {
    hot.set(path, route)
    post(app, path, route, world)
  }
  for (const prefix of PREFIXES) {
    hotRoute(`${prefix}/chat/completions`, inference('/v1/chat/completions', openaiChat, world))
    hotRoute(`${prefix}/messages`, inference('/v1/messages', anthropicMessages, world))
    get(app, `${prefix}/models`, listModels(dialects, world), world)
    get(app, `${prefix}/models/:id`, getModel(dialects, world), world)
    get(app, `${prefix}/limits`, limits(dialects, world), world)
  }
  probes(app, parts)
  publicKeys(app, world)
  if (!parts.adminApart) operations(app, parts)
  return frontDoor({ hot, prepare: closing(parts), rest: closed(app, world) })
}

/** What only operators reach, when they have a port of their own. */
export function createAdminApp(parts: AppParts): RequestListener {
  const app = bare(parts)
  probes(app, parts)
  operations(app, parts)
  return closed(app, parts.world)
}

/** Nothing on that a call does not need: each of Express's defaults costs more than the gateway's own work. */
function bare(parts: AppParts): Express {
  const app = express()
  app.disable('x-powered-by').disable('etag').set('query parser', 'simple')
  const prepare = closing(parts)
  app.use((_request, response, next) => {
    prepare(response)
    next()
  })
  return app
}

/** During shutdown every answer ends its connection, or a busy client would keep it for ever. */
function closing({ draining }: AppParts): (response: ServerResponse) => void {
  return (response) => {
    if (draining()) response.setHeader('connection', 'close')
  }
}

function closed(app: Express, world: World): Express {
  app.use(unknownRoute(dialects, world))
  app.use(failure(dialects, world))
  return app
}

function post(app: Express, path: string, handler: express.RequestHandler, world: World): void {
  app.post(path, handler)
  app.all(path, wrongMethod('POST', dialects, world))
}

function get(app: Express, path: string, handler: express.RequestHandler, world: World): void {
  app.get(path, handler)
  app.all(path, wrongMethod('GET, HEAD', dialects, world))
}

/** What load balancers ask. */
function probes(app: Express, parts: AppParts): void {
  const { world } = parts
  get(app, '/livez', live(), world)
  get(app, '/readyz', ready({ auditLog: world.auditLog, ledger: world.ledger, draining: parts.draining }), world)
}

/** What verifiers of tokens and receipts ask. */
function publicKeys(app: Express, world: World): void {
  const builtin: express.RequestHandler = (_request, response) => void response.json(world.verifier.builtinKeys())
  const audit: express.RequestHandler = (_request, response) => void response.json(world.auditLog.keys().jwks)
  get(app, '/.well-known/jwks.json', builtin, world)
  get(app, '/.well-known/audit-jwks.json', audit, world)
}

/** What operators ask. */
function operations(app: Express, parts: AppParts): void {
  const metrics: express.RequestHandler = async (_request, response) => {
    response.type(parts.metrics.contentType).send(await parts.metrics.read())
  }
  get(app, '/metrics', metrics, parts.world)
}
