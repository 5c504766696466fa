/**
 * Prometheus metrics. Labels come from configuration and closed lists only: never a user, an agent, a tenant or a raw model
 * string, so the number of series is bounded by the policy set.
 */
import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client'

const DECISION_SECONDS = [0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1]
const UPSTREAM_SECONDS = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120]

export interface Metrics {
  readonly registry: Registry
  readonly requests: Counter<'operation' | 'model' | 'provider' | 'decision' | 'reason'>
  readonly decisionSeconds: Histogram
  readonly localDecisions: Counter
  readonly upstreamSeconds: Histogram<'provider'>
  readonly firstByteSeconds: Histogram<'provider'>
  readonly tokens: Counter<'model' | 'provider' | 'direction'>
  readonly costUsd: Counter<'model' | 'provider'>
  readonly settlements: Counter<'outcome' | 'basis'>
  readonly rejections: Counter<'rule'>
  readonly authenticationFailures: Counter<'issuer' | 'reason'>
  readonly boundExceeded: Counter
  readonly storeErrors: Counter<'store' | 'operation' | 'reason'>
  readonly upstreamErrors: Counter<'upstream' | 'kind'>
  readonly holds: Counter<'event'>
  readonly ledgerOpen: Gauge
  readonly ledgerRebuilt: Counter
  readonly inflight: Gauge
  readonly ledgerNodes: Gauge
  readonly rules: Gauge<'digest' | 'prices'>
}

/** Defines every metric once, in a registry of its own. `inflight` is read when metrics are scraped. */
export function createMetrics(inflight: () => number): Metrics {
  const registry = new Registry()
  collectDefaultMetrics({ register: registry, prefix: 'tollgate_' })
  const registers = [registry]
  const counter = <L extends string>(name: string, help: string, labelNames: readonly L[] = []) =>
    new Counter<L>({ name: `tollgate_${name}`, help, labelNames, registers })
  const histogram = <L extends string>(name: string, help: string, buckets: number[], labelNames: readonly L[] = []) =>
    new Histogram<L>({ name: `tollgate_${name}`, help, buckets, labelNames, registers })
  return {
    registry,
    requests: counter('requests_total', 'Decided calls.', ['operation', 'model', 'provider', 'decision', 'reason']),
    decisionSeconds: histogram('decision_duration_seconds', 'Arrival to decision.', DECISION_SECONDS),
    localDecisions: counter('local_decisions_total', 'Calls admitted by this node alone while the ledger was away.'),
    upstreamSeconds: histogram('upstream_duration_seconds', 'Whole admitted calls.', UPSTREAM_SECONDS, ['provider']),
    firstByteSeconds: histogram('first_byte_seconds', 'Arrival to first stream byte.', UPSTREAM_SECONDS, ['provider']),
    tokens: counter('tokens_total', 'Settled tokens.', ['model', 'provider', 'direction']),
    costUsd: counter('cost_usd_total', 'Settled cost; the log is exact, this is a float.', ['model', 'provider']),
    settlements: counter('settlements_total', 'Settlements by how the call ended and how usage is known.', [
      'outcome',
      'basis',
    ]),
    rejections: counter('limit_rejections_total', 'Refusals by rule.', ['rule']),
    authenticationFailures: counter('authentication_failures_total', 'Credentials not accepted.', ['issuer', 'reason']),
    boundExceeded: counter('bound_exceeded_total', 'Calls billed above a bound the provider accepted; must be 0.'),
    storeErrors: counter('store_errors_total', 'Failures of the ledger or the audit log, and why.', [
      'store',
      'operation',
      'reason',
    ]),
    upstreamErrors: counter('upstream_errors_total', 'Upstreams that failed before or in an answer.', [
      'upstream',
      'kind',
    ]),
    holds: counter('holds_total', 'Holds that did not end as they should, by what became of them.', ['event']),
    ledgerOpen: new Gauge({
      name: 'tollgate_ledger_open',
      help: '1 when the ledger has all that the logs say; 0 while it is closed.',
      registers,
    }),
    ledgerRebuilt: counter('ledger_rebuilt_total', 'Times that this gateway told a ledger what its log says.'),
    inflight: new Gauge({
      name: 'tollgate_inflight_calls',
      help: 'Calls that hold something.',
      registers,
      collect() {
        this.set(inflight())
      },
    }),
    ledgerNodes: new Gauge({
      name: 'tollgate_ledger_nodes',
      help: 'Gateways that share the ledger, counted while some rule is local; 0 when not.',
      registers,
    }),
    rules: new Gauge({
      name: 'tollgate_rules_info',
      help: 'Digest of the policy set and version of the prices in force.',
      labelNames: ['digest', 'prices'],
      registers,
    }),
  }
}
