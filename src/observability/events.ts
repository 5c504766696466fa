/**
 * The events of the business: each method defines its log line and its counters together.
 */
import type { Decision, Facts } from '../domain/decision.ts'
import { faultOf } from '../domain/failures.ts'
import { isLocal } from '../domain/ledger/reservation.ts'
import type { Settlement } from '../domain/settlement.ts'
import type { Events } from '../ports/events.ts'
import { holdEvents } from './hold-events.ts'
import type { Logger } from './logger.ts'
import type { Metrics } from './metrics.ts'
import { SparedLines } from './spared-lines.ts'

/** A refused model name is the caller's text: only names the policy knows become labels. */
function modelLabels(facts: Facts): { readonly model: string; readonly provider: string } {
  const { target, ask } = facts
  return target === undefined || ask === undefined
    ? { model: 'other', provider: 'none' }
    : { model: ask.model, provider: target.upstream.provider }
}

function decided(metrics: Metrics, decision: Decision, decidedInMs: number): void {
  const operation = decision.facts.ask?.operation ?? 'none'
  const refusal = decision.kind === 'refused' ? decision.refusal : undefined
  metrics.requests.inc({
    operation,
    ...modelLabels(decision.facts),
    decision: decision.kind,
    reason: refusal?.code ?? 'none',
  })
  if (decision.kind === 'admitted' && isLocal(decision.hold.id)) metrics.localDecisions.inc()
  metrics.decisionSeconds.observe(decidedInMs / 1_000)
  if (refusal?.limit !== undefined) metrics.rejections.inc({ rule: refusal.limit.rule })
}

const NANO_PER_USD = 1e9

function settled(metrics: Metrics, settlement: Settlement): void {
  const { ending, usage, basis } = settlement
  const labels = modelLabels(settlement.admitted.facts)
  metrics.settlements.inc({ outcome: ending.word, basis })
  metrics.tokens.inc({ ...labels, direction: 'input' }, usage.inputTokens)
  metrics.tokens.inc({ ...labels, direction: 'output' }, usage.outputTokens)
  // A gauge for dashboards: the exact sum is the log's.
  metrics.costUsd.inc(labels, Number(settlement.cost) / NANO_PER_USD)
  metrics.upstreamSeconds.observe({ provider: labels.provider }, ending.totalMs / 1_000)
  if (ending.firstByteMs !== undefined) {
    metrics.firstByteSeconds.observe({ provider: labels.provider }, ending.firstByteMs / 1_000)
  }
}

/** Why a store failed; only the ledger's failures have names. */
function reasonOf(store: 'ledger' | 'audit', error: unknown): string {
  return store === 'ledger' ? faultOf(error) : 'none'
}

/** The ledger's store: lost, rebuilt, open again. */
function closings(
  logger: Logger,
  metrics: Metrics,
  spared: SparedLines,
): Pick<Events, 'ledgerClosed' | 'ledgerOpened'> {
  return {
    ledgerClosed(fault, detail) {
      metrics.ledgerOpen.set(0)
      metrics.storeErrors.inc({ store: 'ledger', operation: 'closed', reason: fault })
      spared.write(`closed ${fault}`, (leftOut) =>
        logger.warn({ fault, detail, leftOut }, 'the ledger is closed: nothing is admitted'),
      )
    },
    ledgerOpened({ facts, calls, closedMs }) {
      metrics.ledgerOpen.set(1)
      if (facts + calls > 0) metrics.ledgerRebuilt.inc()
      logger.info({ facts, calls, closedMs: Math.round(closedMs) }, 'the ledger is open')
    },
  }
}

export function createEvents(logger: Logger, metrics: Metrics, nowMs = () => performance.now()): Events {
  const spared = new SparedLines(nowMs)
  return {
    ...closings(logger, metrics, spared),
    decided(decision, decidedInMs) {
      decided(metrics, decision, decidedInMs)
    },
    authenticationFailed(issuer, reason) {
      metrics.authenticationFailures.inc({ issuer: issuer ?? 'none', reason })
    },
    issuerKeysFailed(issuer, problem) {
      metrics.storeErrors.inc({ store: 'issuer_keys', operation: issuer, reason: 'none' })
      logger.warn({ issuer, problem }, 'issuer keys')
    },
    settled(settlement) {
      settled(metrics, settlement)
      if (settlement.flags.includes('bound_exceeded')) {
        const { call, target } = settlement.admitted.facts
        metrics.boundExceeded.inc()
        logger.error({ callId: call.id, model: target.model }, 'billed above the bound')
      }
    },
    settlementDelayed(callId, store, attempt, error) {
      const reason = reasonOf(store, error)
      metrics.storeErrors.inc({ store, operation: 'settle', reason })
      spared.write(`delayed ${store} ${reason}`, (leftOut) =>
        logger.warn({ callId, store, attempt, leftOut, error }, 'settlement delayed'),
      )
    },
    settlementAbandoned(callId, store, error) {
      metrics.storeErrors.inc({ store, operation: 'settle_abandoned', reason: reasonOf(store, error) })
      logger.error(
        { callId, store, error },
        'settlement not written for long; it is tried again when the log is written or the hold has expired',
      )
    },
    upstreamFailed(upstream, kind) {
      metrics.upstreamErrors.inc({ upstream, kind })
      logger.warn({ upstream, kind }, 'upstream failed')
    },
    ledgerFailed(operation, error) {
      const reason = reasonOf('ledger', error)
      metrics.storeErrors.inc({ store: 'ledger', operation, reason })
      spared.write(`ledger ${operation} ${reason}`, (leftOut) =>
        logger.error({ operation, leftOut, error }, 'ledger failed'),
      )
    },
    auditFailed(error) {
      metrics.storeErrors.inc({ store: 'audit', operation: 'append', reason: 'none' })
      spared.write('audit', (leftOut) => logger.error({ leftOut, error }, 'audit log failed'))
    },
    ...holdEvents(logger, metrics),
    unexpected(where, error) {
      logger.error({ where, error }, 'unexpected')
    },
  }
}
