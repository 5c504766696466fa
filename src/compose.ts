/**
 * The one composition root: a validated configuration in, running parts out, disposed in reverse order.
 */
import type { RequestListener } from 'node:http'
import { join } from 'node:path'
import { openAuditLog } from './adapters/audit-log/audit-log.ts'
import { claimIdleLogs } from './adapters/audit-log/idle-logs.ts'
import { createPseudonyms } from './adapters/audit-log/pseudonyms.ts'
import { systemClock } from './adapters/system/clock.ts'
import { createIds } from './adapters/system/ids.ts'
import { systemTimer } from './adapters/system/timer.ts'
import { createTokenCounter } from './adapters/tiktoken/token-counter.ts'
import { beginRecord } from './compose/begin-record.ts'
import { builtinIssuer, keysFolder } from './compose/issuer.ts'
import type { BuiltinIssuer } from './compose/issuer.ts'
import { openLedger, storeKeeper } from './compose/ledger.ts'
import type { OpenedLedger } from './compose/ledger.ts'
import { readRules } from './compose/rules.ts'
import type { RulesInForce } from './compose/rules.ts'
import { openUpstreams } from './compose/upstreams.ts'
import { openVerifier } from './compose/verifier.ts'
import type { Config } from './config/config.ts'
import type { SecretReader } from './config/environment.ts'
import { Calibration } from './domain/prices/calibration.ts'
import { createAdminApp, createApp } from './http/app.ts'
import { createEvents } from './observability/events.ts'
import type { Logger } from './observability/logger.ts'
import { createMetrics } from './observability/metrics.ts'
import type { World } from './ports.ts'
import type { AuditLog } from './ports/audit-log.ts'
import type { Events } from './ports/events.ts'
import { startHeartbeat } from './upkeep/heartbeat.ts'
import { createOpenCalls } from './upkeep/open-calls.ts'
import type { OpenCallRegistry } from './upkeep/open-calls.ts'
import { startPresence } from './upkeep/presence.ts'
import { startReaper } from './upkeep/reaper.ts'
import { startReconciler } from './upkeep/reconcile.ts'
import { startRelease } from './upkeep/release.ts'

/** A running gateway without its sockets. */
export interface Gateway extends AsyncDisposable {
  /** What callers reach. */
  readonly app: RequestListener
  /** What only operators reach, when they have a port of their own. */
  readonly adminApp: RequestListener
  readonly openCalls: OpenCallRegistry
  readonly issuer: BuiltinIssuer | undefined
  /** Makes `/readyz` say no and every answer end its connection. */
  drain(): void
}

/** Builds and starts every part; when one fails, those that had started are stopped again. */
export async function compose(config: Config, secrets: SecretReader, logger: Logger): Promise<Gateway> {
  const rules = await readRules(config, secrets, logger)
  const openCalls = createOpenCalls()
  const metrics = createMetrics(() => openCalls.count())
  const events = createEvents(logger, metrics)
  await using parts = new AsyncDisposableStack()
  const { world, issuer, ledger } = await buildWorld({ config, secrets, rules, events, openCalls }, parts)
  await beginRecord({
    world,
    rules,
    openCalls,
    logger,
    restore: ledger.restore,
    idleLogs: () => claimIdleLogs(config.dataDir),
    openStore: storeKeeper({ world, openCalls, config }, ledger.store, parts),
    folder: join(config.dataDir, 'objects'),
  })
  parts.use(startHeartbeat({ ...world, openCalls }))
  parts.use(startReaper(world))
  const { nodesHeard } = ledger
  if (nodesHeard !== undefined) {
    const heard = (nodes: number) => {
      nodesHeard(nodes)
      metrics.ledgerNodes.set(nodes)
    }
    parts.use(await startPresence({ ...world, owner: world.auditLog.origin, heard }))
  }
  parts.use(startRelease({ ...world, openCalls }))
  parts.use(startReconciler({ ...world, openCalls }))
  metrics.rules.set({ digest: rules.policy.digest, prices: rules.prices.version }, 1)
  let draining = false
  const faces = {
    world,
    draining: () => draining,
    metrics: { contentType: metrics.registry.contentType, read: () => metrics.registry.metrics() },
    adminApart: config.listen.adminPort !== undefined,
  }
  const running = parts.move()
  return {
    app: createApp(faces),
    adminApp: createAdminApp(faces),
    openCalls,
    issuer,
    drain() {
      draining = true
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  }
}

interface Inputs {
  readonly config: Config
  readonly secrets: SecretReader
  readonly rules: RulesInForce
  readonly events: Events
  readonly openCalls: OpenCallRegistry
}

interface Built {
  readonly world: World
  readonly issuer: BuiltinIssuer | undefined
  readonly ledger: OpenedLedger
}

/** What is opened first is closed last: the log outlives everything that writes to it. */
async function buildWorld(inputs: Inputs, parts: AsyncDisposableStack): Promise<Built> {
  const { config, rules, events, openCalls } = inputs
  const auditLog = parts.use(await openLog(config))
  const ledger = openLedger(config, { events, openCalls, policy: rules.policy, owner: auditLog.origin })
  parts.use(ledger.ledger)
  const counter = parts.use(createTokenCounter())
  const issuer = await builtinIssuer(rules.policy, config)
  const world: World = {
    auditLog,
    calibration: new Calibration(),
    clock: systemClock,
    counter,
    events,
    ids: createIds(systemClock),
    ledger: ledger.ledger,
    openCalls,
    pseudonyms: createPseudonyms({ keyFile: join(keysFolder(config), 'pseudonyms.key') }),
    rules: { policy: () => rules.policy, prices: () => rules.prices },
    timer: systemTimer,
    upstreams: await openUpstreams({ ...inputs, policy: rules.policy, counter }, parts),
    verifier: openVerifier({ policy: rules.policy, issuer, events }, parts),
  }
  return { world, issuer, ledger }
}

function openLog(config: Config): Promise<AuditLog> {
  return openAuditLog({
    dir: join(config.dataDir, 'audit'),
    deployment: config.development ? 'localhost' : 'tollgate',
    durability: config.audit.durability,
    alone: config.ledger.kind === 'memory',
  })
}
