/**
 * Turns decisions and settlements into the drafts that the log keeps (schema v1). Members are named as briefly as the log
 * is long; `audit query` gives them their full names, and stand in the order of their canonical text, which is then written
 * without sorting.
 */
import type { RecordDraft, WrittenDraft } from './audit-record.ts'
import type { CanonicalText } from './canonical-json.ts'
import type { Call } from '../call.ts'
import type { Decision, Facts } from '../decision.ts'
import type { Identity } from '../identity.ts'
import { formatUsd, toNanoUsd } from '../prices/money.ts'
import { listOf, membersOf } from './record-members.ts'
import type { Members } from './record-members.ts'
import { actorText, decidedBuckets, settledBuckets } from './record-texts.ts'
import { refusalRow } from '../refusal.ts'
import { runOf } from '../ledger/run.ts'
import type { Refusal } from '../refusal.ts'
import { writeLocalPlan } from '../ledger/local-plan.ts'
import { isLocal } from '../ledger/reservation.ts'
import type { Hold } from '../ledger/reservation.ts'
import type { Settlement } from '../settlement.ts'
import type { Usage } from '../prices/usage.ts'

/** Roles on record: real callers have a handful; all 500 that a token may carry would not fit in a record. */
const ROLES_RECORDED_MAX = 32

/** A model's name as the caller wrote it may be anything, its prompt included: only what can be a name is kept. */
const MODEL_NAME = /^[\w.:/@+-]{1,128}$/

/** Longest path of a field on record; a longer one is made of the caller's own text. */
const FIELD_MAX = 128

function actor(identity: Identity, pseudonym: string | undefined): CanonicalText {
  return actorText(identity, pseudonym, () => actorMembers(identity, pseudonym))
}

function actorMembers(identity: Identity, pseudonym: string | undefined): Members {
  const { tenant, team, agent, client, classification, tier, lane } = identity.single
  return {
    actors: identity.actors.length > 0 ? identity.actors : undefined,
    agent,
    class: classification,
    client,
    iss: identity.issuer,
    kid: identity.keyId,
    lane,
    roles: identity.list.role.slice(0, ROLES_RECORDED_MAX),
    roles_n: identity.list.role.length > ROLES_RECORDED_MAX ? identity.list.role.length : undefined,
    run: runOf(identity),
    sub: pseudonym,
    team,
    tenant,
    tier,
  }
}

function models(facts: Facts, answered?: string): Members | undefined {
  if (facts.ask === undefined) return undefined
  return {
    answered,
    prov: facts.target?.upstream.provider,
    region: facts.target?.upstream.region,
    req: MODEL_NAME.test(facts.ask.model) ? facts.ask.model : '(not a name)',
    served: facts.target?.model,
    up: facts.target?.upstream.name,
  }
}

function estimated(facts: Facts): Members | undefined {
  const { estimate, ask } = facts
  if (estimate === undefined || ask === undefined) return undefined
  return {
    asked: estimate.outputTokensAsked,
    basis: estimate.method,
    in: estimate.inputTokens.upper,
    injected: estimate.outputMaxInjected,
    max: estimate.outputTokensMax,
    out: estimate.outputTokens.upper,
    usd: formatUsd(estimate.cost.upper),
    usd_expected: formatUsd(estimate.cost.expected),
  }
}

function holdOf(decision: Decision): Hold | undefined {
  return decision.kind === 'admitted' ? decision.hold : undefined
}

function refusedWith(refusal: Refusal): Members {
  return {
    alt: refusal.also.length > 0 ? refusal.also : undefined,
    code: refusal.code,
    field: refusal.field?.slice(0, FIELD_MAX),
    http: refusalRow(refusal.code).status,
    out: 'refuse',
    reason: refusal.reason,
    retry_ms: refusal.retryAfterMs,
    rule: refusal.limit?.rule,
  }
}

/** `local`: the ledger was away, and this node decided within its share. */
function admittedWith({ id }: Hold): Members {
  return { local: isLocal(id) ? true : undefined, out: 'admit' }
}

/** The record of one decision; its id is the call's id. */
export function decisionRecord(decision: Decision, pseudonym: string | undefined, decidedInMs: number): WrittenDraft {
  const { facts } = decision
  return {
    act: facts.identity && actor(facts.identity, pseudonym),
    bkt: facts.charges && decidedBuckets(facts.charges, facts.states, holdOf(decision)),
    dec: decision.kind === 'admitted' ? admittedWith(decision.hold) : refusedWith(decision.refusal),
    est: estimated(facts),
    id: facts.call.id,
    loc: decision.kind === 'admitted' ? writeLocalPlan(decision.hold) : undefined,
    mdl: models(facts),
    ms: { decided: Math.max(0, Math.round(decidedInMs)) },
    pol: { h: facts.policy.digest, name: facts.policy.name, rev: facts.policy.revision },
    prc: { h: facts.prices.version },
    req: { ep: facts.call.endpoint, id: facts.call.id, stream: facts.ask?.stream },
    rsv: decision.kind === 'admitted' ? decision.hold.id : undefined,
    type: 'decision',
    v: 1,
  }
}

/** The record of a credential that was not accepted: it names no one, because nobody is known. */
export function authenticationFailedRecord(call: Call, refusal: Refusal, issuer: string | undefined): RecordDraft {
  return {
    dec: refusedWith(refusal),
    id: call.id,
    iss: issuer,
    req: { ep: call.endpoint, id: call.id },
    type: 'auth_failed',
    v: 1,
  }
}

function used(usage: Usage): Members {
  const { quantities } = usage
  const cacheWrites =
    (quantities.cache_write ?? 0) + (quantities.cache_write_5m ?? 0) + (quantities.cache_write_1h ?? 0)
  return {
    cr: quantities.cache_read,
    cw: cacheWrites > 0 ? cacheWrites : undefined,
    geo: usage.geography,
    in: usage.inputTokens,
    out: usage.outputTokens,
    rs: usage.reasoningTokens,
    tier: usage.tier,
  }
}

/** The record of what a call really was; `ref.id` is the decision it closes. */
export function settlementRecord(settlement: Settlement, id: string, pseudonym: string | undefined): WrittenDraft {
  const { admitted, ending } = settlement
  const { facts } = admitted
  const delta = toNanoUsd(settlement.cost - facts.estimate.cost.upper)
  return {
    act: actor(facts.identity, pseudonym),
    basis: settlement.basis,
    bkt: settledBuckets(facts.charges, settlement.amounts, admitted.hold),
    flags: settlement.flags.length > 0 ? settlement.flags : undefined,
    http: ending.status,
    id,
    lines: settlement.lines.map((line) => ({ m: line.meter, q: line.quantity, usd: formatUsd(line.nanoUsd) })),
    mdl: models(facts, settlement.usage.model),
    ms: {
      total: Math.round(ending.totalMs),
      ttft: ending.firstByteMs === undefined ? undefined : Math.round(ending.firstByteMs),
    },
    out: ending.word,
    prc: { h: facts.prices.version },
    prov_req: ending.upstreamRequestId,
    ref: { id: facts.call.id },
    rsv: admitted.hold.id,
    type: 'settle',
    usd: { act: formatUsd(settlement.cost), delta: formatUsd(delta), est: formatUsd(facts.estimate.cost.upper) },
    use: used(settlement.usage),
    v: 1,
  }
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
      const { id: key, rule, kind, unit, need, end, from, kept } = membersOf(entry)
      return { id: key, rule, kind, unit, held: need, act: need, end, from, kept }
    }),
    prc: decision['prc'],
  }
}
