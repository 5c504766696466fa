/**
 * The one composition root: a validated configuration in, running parts out, disposed in reverse order.
 */
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { openAuditLog } from './adapters/audit-log/audit-log.ts'
import { createPseudonyms } from './adapters/audit-log/pseudonyms.ts'
import { createDocumentFetcher } from './adapters/destinations/document.ts'
import { createMemoryLedger } from './adapters/memory/ledger.ts'
import { createRedisLedger } from './adapters/redis/ledger.ts'
import { systemClock } from './adapters/system/clock.ts'
import { createIds } from './adapters/system/ids.ts'
import { systemTimer } from './adapters/system/timer.ts'
import { createTokenCounter } from './adapters/tiktoken/token-counter.ts'
import type { BuiltinIssuer } from './adapters/tokens/builtin-issuer.ts'
import { createTokenVerifier } from './adapters/tokens/verifier.ts'
import { beginRecord } from './compose/begin-record.ts'
import { builtinIssuer, keysFolder } from './compose/issuer.ts'
import { activate, formatProblem, loadRules } from './compose/rules.ts'
import type { RulesInForce } from './compose/rules.ts'
import { openUpstreams } from './compose/upstreams.ts'
import type { Config } from './config/config.ts'
import type { SecretReader } from './config/environment.ts'
import { Calibration } from './domain/calibration.ts'
import type { SettledBalance } from './domain/balances.ts'
import { createApp } from './http/app.ts'
import { createEvents } from './observability/events.ts'
import type { Logger } from './observability/logger.ts'
import { createMetrics } from './observability/metrics.ts'
import type { AuditLog, Ledger, World } from './ports.ts'
import { startHeartbeat } from './upkeep/heartbeat.ts'
import { createOpenCalls } from './upkeep/open-calls.ts'
import type { OpenCallRegistry } from './upkeep/open-calls.ts'
import { startReaper } from './upkeep/reaper.ts'

/** A running gateway without its socket. */
export interface Gateway extends AsyncDisposable {
  readonly app: RequestListener
  readonly openCalls: OpenCallRegistry
  readonly issuer: BuiltinIssuer | undefined
  /** Makes `/readyz` say no and every answer end its connection. */
  drain(): void
}

/** The configuration is readable but nothing can run from it; every problem is named. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}

/** Builds and starts every part; when one fails, those that had started are stopped again. */
export async function compose(config: Config, secrets: SecretReader, logger: Logger): Promise<Gateway> {
  const rules = await readRules(config, secrets, logger)
  await using parts = new AsyncDisposableStack()
  const { world, issuer, openCalls, ledger } = await buildWorld({ config, secrets, rules, logger }, parts)
  const metrics = createMetrics(() => openCalls.count())
  const events = createEvents(logger, metrics)
  const told: World = { ...world, events }
  await beginRecord({ world: told, rules, restore: ledger.restore, logger, folder: join(config.dataDir, 'objects') })
  parts.use(startHeartbeat({ ...told, openCalls }))
  parts.use(startReaper(told))
  metrics.rules.set({ digest: rules.policy.digest, prices: rules.prices.version }, 1)
  let draining = false
  const app = createApp({
    world: told,
    draining: () => draining,
    metrics: { contentType: metrics.registry.contentType, read: () => metrics.registry.metrics() },
  })
  const running = parts.move()
  return {
    app,
    openCalls,
    issuer,
    drain() {
      draining = true
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

async function readRules(config: Config, secrets: SecretReader, logger: Logger): Promise<RulesInForce> {
  const loaded = await loadRules(config, systemClock.nowMs())
  if (loaded.kind === 'invalid') throw new StartFailed(loaded.problems.map(formatProblem).join('\n'))
  const activated = activate(loaded.policy, secrets)
  if (activated.kind === 'invalid') throw new StartFailed(activated.problems.join('\n'))
  // One line, not one a warning: stale prices alone can be dozens. The command lists them with their places.
  const warnings = [...new Set(loaded.warnings.map((warning) => warning.code))]
  if (warnings.length > 0) logger.warn({ warnings: loaded.warnings.length, codes: warnings }, 'see: tollgate check')
  if (activated.leftOut.length > 0)
    logger.info({ upstreams: activated.leftOut }, 'upstreams without a key are left out')
  return { policy: activated.policy, prices: loaded.prices }
}

interface Inputs {
  readonly config: Config
  readonly secrets: SecretReader
  readonly rules: RulesInForce
  readonly logger: Logger
}

type Untold = Omit<World, 'events'>

async function buildWorld(
  { config, secrets, rules }: Inputs,
  parts: AsyncDisposableStack,
): Promise<{
  readonly world: Untold
  readonly issuer: BuiltinIssuer | undefined
  readonly openCalls: OpenCallRegistry
  readonly ledger: OpenedLedger
}> {
  const clock = systemClock
  const openCalls = createOpenCalls()
  const auditLog = parts.use(await openLog(config))
  const ledger = openLedger(config)
  parts.use(ledger.ledger)
  const counter = parts.use(createTokenCounter())
  const issuer = await builtinIssuer(rules.policy, config)
  const documents = parts.use(createDocumentFetcher({ allowPrivate: () => rules.policy.destinations.allowPrivate }))
  const verifier = parts.use(
    createTokenVerifier({
      issuers: () => rules.policy.issuers,
      clock,
      fetchDocument: (url, limits) => documents.fetch(url, limits),
      ...(issuer && { builtin: issuer }),
    }),
  )
  const upstreams = await openUpstreams({ policy: rules.policy, secrets, counter }, parts)
  const world = {
    auditLog,
    calibration: new Calibration(),
    clock,
    counter,
    ids: createIds(clock),
    ledger: ledger.ledger,
    openCalls,
    pseudonyms: createPseudonyms({ keyFile: join(keysFolder(config), 'pseudonyms.key') }),
    rules: { policy: () => rules.policy, prices: () => rules.prices },
    timer: systemTimer,
    upstreams,
    verifier,
  }
  return { world, issuer, openCalls, ledger }
}

function openLog(config: Config): Promise<AuditLog> {
  return openAuditLog({
    dir: join(config.dataDir, 'audit'),
    deployment: config.development ? 'localhost' : 'tollgate',
    durability: config.audit.durability,
  })
}

interface OpenedLedger {
  readonly ledger: Ledger
  /** Present on a ledger that forgets on exit. */
  readonly restore: ((balances: readonly SettledBalance[]) => void) | undefined
}

function openLedger(config: Config): OpenedLedger {
  if (config.ledger.kind === 'redis')
    return { ledger: createRedisLedger({ url: config.ledger.url }), restore: undefined }
  const ledger = createMemoryLedger({ clock: systemClock })
  return { ledger, restore: (balances) => ledger.restore(balances) }
}
