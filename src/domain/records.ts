/**
 * Turns decisions and settlements into the drafts that the log keeps (schema v1). Members are named as briefly as the log
 * is long; `audit query` gives them their full names.
 */
import type { AccumulatorState } from './accumulator.ts'
import type { RecordDraft } from './audit-record.ts'
import type { Call } from './call.ts'
import type { PlannedCharge } from './charges.ts'
import type { Decision, Facts } from './decision.ts'
import type { Identity } from './identity.ts'
import { formatUsd, toNanoUsd } from './money.ts'
import type { Unit } from './policy.ts'
import { listOf, membersOf } from './record-members.ts'
import type { Members } from './record-members.ts'
import { refusalRow } from './refusal.ts'
import type { Refusal } from './refusal.ts'
import type { Settlement } from './settlement.ts'
import type { Usage } from './usage.ts'

/** An amount as its unit is written: dollars with nine decimals, everything else as an integer. */
export function writeAmount(unit: Unit, amount: number): string | number {
  return unit === 'usd' ? formatUsd(toNanoUsd(BigInt(Math.trunc(amount)))) : Math.trunc(amount)
}

/** Roles on record: real callers have a handful; all 500 that a token may carry would not fit in a record. */
const ROLES_RECORDED_MAX = 32

/** A model's name as the caller wrote it may be anything, its prompt included: only what can be a name is kept. */
const MODEL_NAME = /^[\w.:/@+-]{1,128}$/

/** Longest path of a field on record; a longer one is made of the caller's own text. */
const FIELD_MAX = 128

function request(call: Call): Members {
  return { id: call.id, ep: call.endpoint }
}

function actor(identity: Identity | undefined, pseudonym: string | undefined): Members | undefined {
  if (identity === undefined) return undefined
  const { tenant, team, agent, client, classification, tier, lane, run } = identity.single
  return {
    tenant,
    team,
    agent,
    client,
    class: classification,
    tier,
    lane,
    run,
    roles: identity.list.role.slice(0, ROLES_RECORDED_MAX),
    roles_n: identity.list.role.length > ROLES_RECORDED_MAX ? identity.list.role.length : undefined,
    sub: pseudonym,
    iss: identity.issuer,
    kid: identity.keyId,
    actors: identity.actors.length > 0 ? identity.actors : undefined,
  }
}

function models(facts: Facts): Members | undefined {
  if (facts.ask === undefined) return undefined
  return {
    req: MODEL_NAME.test(facts.ask.model) ? facts.ask.model : '(not a name)',
    served: facts.target?.model,
    prov: facts.target?.upstream.provider,
    up: facts.target?.upstream.name,
    region: facts.target?.upstream.region,
  }
}

function bucket(charge: PlannedCharge, state: AccumulatorState | undefined): Members {
  const write = (amount: number) => writeAmount(charge.unit, amount)
  return {
    id: charge.accumulator.key,
    rule: charge.rule,
    kind: charge.accumulator.shape.kind,
    unit: charge.unit,
    need: write(charge.amount),
    end: windowEnd(charge),
    ...(state && {
      lim: write(state.limit),
      used: write(state.settled),
      held: write(state.held),
      ok: state.settled + state.held + charge.amount <= state.limit,
    }),
  }
}

function buckets(facts: Facts): readonly Members[] | undefined {
  return facts.charges?.map((charge, index) => bucket(charge, facts.states?.[index]))
}

function estimated(facts: Facts): Members | undefined {
  const { estimate, ask } = facts
  if (estimate === undefined || ask === undefined) return undefined
  return {
    usd: formatUsd(estimate.cost.upper),
    usd_expected: formatUsd(estimate.cost.expected),
    in: estimate.inputTokens.upper,
    out: estimate.outputTokens.upper,
    basis: estimate.method,
    max: estimate.outputTokensMax,
    injected: estimate.outputMaxInjected,
  }
}

function refusedWith(refusal: Refusal): Members {
  return {
    out: 'refuse',
    code: refusal.code,
    http: refusalRow(refusal.code).status,
    rule: refusal.limit?.rule,
    field: refusal.field?.slice(0, FIELD_MAX),
    reason: refusal.reason,
    retry_ms: refusal.retryAfterMs,
    alt: refusal.also.length > 0 ? refusal.also : undefined,
  }
}

/** The record of one decision; its id is the call's id. */
export function decisionRecord(decision: Decision, pseudonym: string | undefined, decidedInMs: number): RecordDraft {
  const { facts } = decision
  return {
    v: 1,
    type: 'decision',
    id: facts.call.id,
    req: { ...request(facts.call), stream: facts.ask?.stream },
    act: actor(facts.identity, pseudonym),
    mdl: models(facts),
    dec: decision.kind === 'admitted' ? { out: 'admit' } : refusedWith(decision.refusal),
    pol: { h: facts.policy.digest, name: facts.policy.name, rev: facts.policy.revision },
    prc: { h: facts.prices.version },
    est: estimated(facts),
    bkt: buckets(facts),
    rsv: decision.kind === 'admitted' ? decision.hold.id : undefined,
    ms: { decided: Math.max(0, Math.round(decidedInMs)) },
  }
}

/** The record of a credential that was not accepted: it names no one, because nobody is known. */
export function authenticationFailedRecord(call: Call, refusal: Refusal, issuer: string | undefined): RecordDraft {
  return { v: 1, type: 'auth_failed', id: call.id, req: request(call), dec: refusedWith(refusal), iss: issuer }
}

function used(usage: Usage): Members {
  const { quantities } = usage
  const cacheWrites =
    (quantities.cache_write ?? 0) + (quantities.cache_write_5m ?? 0) + (quantities.cache_write_1h ?? 0)
  return {
    in: usage.inputTokens,
    out: usage.outputTokens,
    cr: quantities.cache_read,
    cw: cacheWrites > 0 ? cacheWrites : undefined,
    rs: usage.reasoningTokens,
    tier: usage.tier,
    geo: usage.geography,
  }
}

/** The record of what a call really was; `ref.id` is the decision it closes. */
export function settlementRecord(settlement: Settlement, id: string, pseudonym: string | undefined): RecordDraft {
  const { admitted, ending } = settlement
  const { facts } = admitted
  const delta = toNanoUsd(settlement.cost - facts.estimate.cost.upper)
  return {
    v: 1,
    type: 'settle',
    id,
    ref: { id: facts.call.id },
    rsv: admitted.hold.id,
    act: actor(facts.identity, pseudonym),
    mdl: { ...models(facts), answered: settlement.usage.model },
    out: ending.word,
    http: ending.status,
    basis: settlement.basis,
    use: used(settlement.usage),
    usd: { est: formatUsd(facts.estimate.cost.upper), act: formatUsd(settlement.cost), delta: formatUsd(delta) },
    lines: settlement.lines.map((line) => ({ m: line.meter, q: line.quantity, usd: formatUsd(line.nanoUsd) })),
    bkt: facts.charges.map((charge, index) => ({
      id: charge.accumulator.key,
      rule: charge.rule,
      kind: charge.accumulator.shape.kind,
      unit: charge.unit,
      held: writeAmount(charge.unit, charge.amount),
      act: writeAmount(charge.unit, settlement.amounts[index] ?? charge.amount),
      end: windowEnd(charge),
    })),
    prc: { h: facts.prices.version },
    prov_req: ending.upstreamRequestId,
    flags: settlement.flags.length > 0 ? settlement.flags : undefined,
    ms: {
      total: Math.round(ending.totalMs),
      ttft: ending.firstByteMs === undefined ? undefined : Math.round(ending.firstByteMs),
    },
  }
}

/** Epoch milliseconds at which the charged window ends; a restarted process skips windows that are over. */
function windowEnd(charge: PlannedCharge): number | undefined {
  const { shape } = charge.accumulator
  return shape.kind === 'budget' && shape.window !== null ? shape.window.endMs : undefined
}

/**
 * The record that closes a decision whose process died: nothing is known, so the bound that was held stands. Made from
 * the decision's own record, because nothing else survived.
 */
export function crashRecord(decision: RecordDraft, id: string): RecordDraft {
  const estimate = membersOf(decision['est'])
  return {
    v: 1,
    type: 'settle',
    id,
    ref: { id: decision.id },
    rsv: decision['rsv'],
    act: decision['act'],
    mdl: decision['mdl'],
    out: 'crash',
    basis: 'estimate_after_crash',
    use: { in: estimate['in'], out: estimate['out'] },
    usd: { est: estimate['usd'], act: estimate['usd'], delta: formatUsd(toNanoUsd(0n)) },
    lines: [],
    bkt: listOf(decision['bkt']).map((entry) => {
      const { id: key, rule, kind, unit, need, end } = membersOf(entry)
      return { id: key, rule, kind, unit, held: need, act: need, end }
    }),
    prc: decision['prc'],
  }
}
