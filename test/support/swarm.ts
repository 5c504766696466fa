/**
 * Several gateways on one ledger and in front of one provider, any of which may be killed and started again, and many callers
 * whose calls are all alike: each is bounded by exactly what the provider bills for it.
 */
import { rm } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { loadPrices } from '../../src/adapters/files/pricing.ts'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { openBuiltinIssuer } from '../../src/adapters/tokens/builtin-issuer.ts'
import { openaiChat } from '../../src/dialects/openai-chat.ts'
import { Calibration } from '../../src/domain/prices/calibration.ts'
import { estimate } from '../../src/steps/estimate.ts'
import { post } from './calls.ts'
import { startGateway } from './gateway.ts'
import type { GatewayOptions, RunningGateway } from './gateway.ts'
import { policySet } from './policies.ts'
import { askOf, MODELS, PROVIDER_KEYS, providerPolicy, startProvider } from './provider.ts'

export interface Caller {
  readonly team: string
  /** Of one length for all callers, so that all calls are bounded alike. */
  readonly agent: string
}

interface Bound {
  readonly inputTokens: number
  readonly outputTokens: number
  readonly tokens: number
  readonly nanoUsd: bigint
}

export interface Swarm extends AsyncDisposable {
  /** What a call can cost at most, and what the provider bills. */
  readonly bound: Bound
  readonly gateways: readonly RunningGateway[]
  /** Places of the gateways that serve now. */
  serving(): readonly number[]
  kill(place: number): Promise<void>
  /** Starts the gateway of a place on its own data; one that still serves is stopped before. */
  restart(place: number): Promise<void>
  /** One call through any gateway that serves; status 0 when the connection broke. */
  call(caller: Caller): Promise<{ readonly status: number; readonly code: string }>
  /** How many calls ended so. */
  answered(status: number): number
  /** How the latest calls ended. */
  latest(count: number): readonly number[]
  /** Calls of this team that the provider answered and bills. */
  served(team: string): number
}

/** How long the provider thinks: so that a kill finds calls under way. */
const THINKS_MS = 20

/** After a refusal, before the next call. */
const PAUSE_MS = 20

const bodyOf = ({ team, agent }: Caller) => askOf('openai', { user: `${team.padEnd(9, '-')}${agent}` })

/** What the gateway must bound a call by, worked out with its own step. */
async function boundOf(caller: Caller): Promise<Bound> {
  const loaded = await loadPrices(['pricing'], { nowMs: Date.now() })
  const parsed = openaiChat.parse(Buffer.from(JSON.stringify(bodyOf(caller))))
  if (loaded.kind === 'invalid' || parsed.kind === 'invalid') throw new Error('the prices or the request are faulty')
  const price = loaded.table.find('openai', MODELS.openai)
  if (price === undefined) throw new Error('the model has no price')
  const limits = { outputTokensMax: undefined, nowMs: Date.now() }
  const bound = estimate(parsed.ask, price, limits, { calibration: new Calibration() })
  if (bound.kind === 'refused') throw new Error(bound.message)
  const [inputTokens, outputTokens] = [bound.inputTokens.upper, bound.outputTokens.upper]
  return { inputTokens, outputTokens, tokens: inputTokens + outputTokens, nanoUsd: bound.cost.upper }
}

/** A provider that bills each call at its bound and counts whose calls it answered. */
async function startBiller({ inputTokens, outputTokens, tokens }: Bound) {
  const provider = await startProvider()
  const served = new Map<string, number>()
  const usage = { prompt_tokens: inputTokens, completion_tokens: outputTokens, total_tokens: tokens }
  const choices = [{ index: 0, message: { role: 'assistant', content: 'Fine.' }, finish_reason: 'stop' }]
  const answer = JSON.stringify({
    id: 'c',
    object: 'chat.completion',
    created: 1,
    model: MODELS.openai,
    choices,
    usage,
  })
  provider.handle = ({ body }, response) => {
    const [team = ''] = /(?<="user":")[a-z]+/.exec(body.toString()) ?? []
    served.set(team, (served.get(team) ?? 0) + 1)
    setTimeout(() => response.writeHead(200, { 'content-type': 'application/json' }).end(answer), THINKS_MS)
  }
  return { provider, served }
}

/** A start that finds the store late ends by itself; what supervises a process starts it again. */
const STARTS_MAX = 5

async function supervised(start: () => Promise<RunningGateway>): Promise<RunningGateway> {
  for (let starts = 1; ; starts += 1) {
    try {
      return await start()
    } catch (error) {
      const isLate = error instanceof Error && error.message.includes('no answer within')
      if (!isLate || starts === STARTS_MAX) throw error
    }
  }
}

export async function startSwarm(options: {
  readonly gateways: number
  readonly place: Pick<GatewayOptions, 'redisUrl' | 'clusterNodes'>
  readonly rules: (bound: Bound) => string
}): Promise<Swarm> {
  const bound = await boundOf({ team: 'any', agent: 'c-1000' })
  const { provider, served } = await startBiller(bound)
  const base = policySet(options.rules(bound))
  const policies = `${base.slice(0, base.indexOf('upstreams:'))}${providerPolicy(provider).trim()}\n${base.slice(base.indexOf('access:'))}`
  const gateways: RunningGateway[] = []
  const serving = new Set<number>()
  const statuses: number[] = []
  const start = async (place: number) => {
    const dir = gateways[place]?.dir
    const settings = { policies, env: PROVIDER_KEYS, ...options.place }
    gateways[place] = await supervised(() => startGateway({ ...settings, ...(dir !== undefined && { dir }) }))
    serving.add(place)
  }
  await Promise.all(Array.from({ length: options.gateways }, (_, place) => start(place)))
  const issuers = await Promise.all(
    gateways.map(({ dataDir }) => openBuiltinIssuer({ dir: join(dataDir, 'keys'), clock: systemClock })),
  )
  const tokens = new Map<string, Promise<string>>()
  /** Each gateway has keys of its own, which it keeps when it is started again. */
  const tokenOf = (place: number, { team, agent }: Caller) => {
    const name = `${place} ${team} ${agent}`
    const known = tokens.get(name) ?? Promise.resolve(issuers[place]?.issue({ ...CALLER, team, agent }) ?? '')
    tokens.set(name, known)
    return known
  }
  const ask = async (caller: Caller) => {
    const places = [...serving]
    const place = places[Math.floor(Math.random() * places.length)] ?? 0
    const url = gateways[place]?.url ?? ''
    const response = await post({ url, token: await tokenOf(place, caller), body: bodyOf(caller) })
    const [, code = ''] = /"code":\s*"([a-z_]+)"/.exec(await response.text()) ?? []
    return { status: response.status, code }
  }
  return {
    bound,
    gateways,
    serving: () => [...serving],
    async kill(place) {
      serving.delete(place)
      await gateways[place]?.kill()
    },
    async restart(place) {
      if (serving.delete(place)) await gateways[place]?.stop()
      await start(place)
    },
    async call(caller) {
      const seen = await ask(caller).catch(() => ({ status: 0, code: '' }))
      statuses.push(seen.status)
      // What is refused is refused at once: without a pause the refused would take all the time there is.
      if (seen.status !== 200) await sleep(PAUSE_MS)
      return seen
    },
    answered: (status) => statuses.filter((one) => one === status).length,
    latest: (count) => statuses.slice(-count),
    served: (team) => served.get(team) ?? 0,
    async [Symbol.asyncDispose]() {
      for (const gateway of gateways) {
        await gateway.kill()
        await rm(gateway.dir, { recursive: true, force: true })
      }
      await provider[Symbol.asyncDispose]()
    },
  }
}

const CALLER = {
  tenant: 'acme',
  user: 'ada',
  roles: ['agent'],
  classification: 'internal',
  ttlSeconds: 3_600,
}
