import { Writable } from 'node:stream'
import { pino } from 'pino'
import { describe, expect, it } from 'vitest'
import { LedgerUnavailable } from '../../src/domain/failures.ts'
import { toNanoUsd } from '../../src/domain/prices/money.ts'
import { refuse } from '../../src/domain/refusal.ts'
import type { Settlement } from '../../src/domain/settlement.ts'
import { createEvents } from '../../src/observability/events.ts'
import { describeError } from '../../src/observability/logger.ts'
import { createMetrics } from '../../src/observability/metrics.ts'
import { usage } from '../domain/price-fixtures.ts'
import { admitted, ending, estimated } from '../steps/fixtures.ts'

function observed(nowMs?: () => number) {
  const lines: string[] = []
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      lines.push(chunk.toString())
      done()
    },
  })
  const metrics = createMetrics(() => 3)
  const logger = pino({ level: 'trace', serializers: { error: describeError } }, sink)
  return { events: createEvents(logger, metrics, nowMs), lines, text: () => metrics.registry.metrics() }
}

async function settlement(more: Partial<Settlement> = {}): Promise<Settlement> {
  const call = await admitted()
  return {
    admitted: call,
    ending: ending({ totalMs: 1_500, firstByteMs: 200 }),
    basis: 'provider_usage',
    usage: usage({ input: 100, output: 50 }),
    cost: toNanoUsd(600_000n),
    lines: [],
    amounts: [1, 600_000],
    flags: [],
    ...more,
  }
}

describe('an event', () => {
  it('counts an admitted call by names of the policy', async () => {
    const { events, text, lines } = observed()
    events.decided(await admitted(), 3)
    expect(await text()).toContain(
      'tollgate_requests_total{operation="chat",model="chat",provider="simulator",decision="admitted",reason="none"} 1',
    )
    expect(lines).toEqual([])
  })

  it('counts a refused model as "other", whatever the caller called it', async () => {
    const { events, text } = observed()
    const { target: _target, ...facts } = estimated({}, { ask: { ...estimated().ask, model: 'canary-model' } })
    events.decided({ kind: 'refused', facts, refusal: refuse('model_not_found', 'No.') }, 1)
    expect(await text()).toContain('model="other",provider="none",decision="refused",reason="model_not_found"} 1')
    expect(await text()).not.toContain('canary')
  })

  it('counts what a settled call used and cost', async () => {
    const { events, text, lines } = observed()
    events.settled(await settlement())
    const found = await text()
    expect(found).toContain('tollgate_tokens_total{model="chat",provider="simulator",direction="input"} 100')
    expect(found).toContain('tollgate_tokens_total{model="chat",provider="simulator",direction="output"} 50')
    expect(found).toContain('tollgate_cost_usd_total{model="chat",provider="simulator"} 0.0006')
    expect(found).toContain('tollgate_settlements_total{outcome="ok",basis="provider_usage"} 1')
    expect(found).toContain('tollgate_bound_exceeded_total 0')
    expect(found).toContain('tollgate_inflight_calls 3')
    expect(lines).toEqual([])
  })

  it('raises the alarm when a provider bills above the bound it accepted', async () => {
    const { events, text, lines } = observed()
    events.settled(await settlement({ flags: ['bound_exceeded'] }))
    expect(await text()).toContain('tollgate_bound_exceeded_total 1')
    expect(lines.join('')).toMatch(/"level":50.*billed above the bound/)
  })

  it('logs a failure by name, code and message, and never what else an error carries', () => {
    const { events, lines } = observed()
    const cause = Object.assign(new Error('connect refused'), { code: 'ECONNREFUSED', request: 'canary-request' })
    events.ledgerFailed('reserve', Object.assign(new Error('away', { cause }), { headers: 'canary-header' }))
    events.ledgerFailed('settle', 'not even an error')
    const text = lines.join('')
    expect(text).toContain('"message":"away"')
    expect(text).toContain('"code":"ECONNREFUSED"')
    expect(text).toContain('not even an error')
    expect(text).not.toContain('canary')
  })

  it('that meets every call is one line at once, then one in five seconds that says how many it stands for', async () => {
    let nowMs = 0
    const { events, lines, text } = observed(() => nowMs)
    const away = new LedgerUnavailable('away', { fault: 'timeout' })
    for (let call = 0; call < 1_000; call += 1) {
      events.ledgerFailed('reserve', away)
      events.settlementDelayed(`call-${call}`, 'ledger', 1, away)
    }
    expect(lines).toHaveLength(2)
    nowMs = 5_000
    events.ledgerFailed('reserve', away)
    expect(lines).toHaveLength(3)
    expect(lines[2]).toContain('"leftOut":999')
    events.ledgerFailed('reserve', new LedgerUnavailable('full', { fault: 'out_of_memory' }))
    expect(lines).toHaveLength(4)
    expect(await text()).toContain('{store="ledger",operation="reserve",reason="timeout"} 1001')
  })

  it('that nobody foresaw is one line of its own', () => {
    const { events, lines } = observed()
    events.unexpected('http', new Error('y'))
    expect(lines).toHaveLength(1)
    expect(lines[0]).toMatch(/"level":50.*"where":"http".*"message":"y"/)
  })

  it('counts and says what becomes of holds, upstreams, issuers and settlements', async () => {
    const { events, lines, text } = observed()
    events.holdsExpired(2)
    events.holdsLost(1)
    events.upstreamFailed('openai', 'timeout')
    events.issuerKeysFailed('corp', 'http_500')
    events.settlementDelayed('c', 'ledger', 1, new Error('z'))
    events.settlementAbandoned('c', 'audit', new Error('z'))
    events.ledgerFailed('reserve', new LedgerUnavailable('z', { fault: 'out_of_memory' }))
    events.auditFailed(new Error('z'))
    events.authenticationFailed(undefined, 'malformed')
    const found = await text()
    for (const line of [
      'tollgate_holds_total{event="expired"} 2',
      'tollgate_holds_total{event="lost"} 1',
      'tollgate_upstream_errors_total{upstream="openai",kind="timeout"} 1',
      'tollgate_store_errors_total{store="issuer_keys",operation="corp",reason="none"} 1',
      'tollgate_store_errors_total{store="ledger",operation="settle",reason="unexpected"} 1',
      'tollgate_store_errors_total{store="ledger",operation="reserve",reason="out_of_memory"} 1',
      'tollgate_store_errors_total{store="audit",operation="settle_abandoned",reason="none"} 1',
      'tollgate_store_errors_total{store="audit",operation="append",reason="none"} 1',
      'tollgate_authentication_failures_total{issuer="none",reason="malformed"} 1',
    ]) {
      expect(found).toContain(line)
    }
    expect(lines).toHaveLength(8)
  })
})
