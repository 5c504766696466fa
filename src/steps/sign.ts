import type { Call } from '../domain/call.ts'
import type { Decision } from '../domain/decision.ts'
import type { Identity } from '../domain/identity.ts'
import { authenticationFailedRecord, decisionRecord, settlementRecord } from '../domain/audit/records.ts'
import type { Refusal } from '../domain/refusal.ts'
import type { Settlement } from '../domain/settlement.ts'
import type { World } from '../ports.ts'
import type { Signed } from '../ports/audit-log.ts'

type Signing = Pick<World, 'auditLog' | 'clock' | 'ids' | 'pseudonyms'>

/**
 * Puts a decision on record. Resolves when the record is durable: a refusal is answered only then, the first byte of an
 * admitted call waits for it. Refusals carry a receipt.
 */
export function signDecision(decision: Decision, world: Signing): Promise<Signed> {
  const { call, identity } = decision.facts
  const draft = decisionRecord(decision, pseudonymOf(identity, world), world.clock.nowMs() - call.startedAtMs)
  return world.auditLog.append(draft, { receipt: decision.kind === 'refused' })
}

/** Puts a failed authentication on record. */
export function signAuthenticationFailure(
  failure: { readonly call: Call; readonly refusal: Refusal; readonly issuer: string | undefined },
  world: Signing,
): Promise<Signed> {
  const draft = authenticationFailedRecord(failure.call, failure.refusal, failure.issuer)
  return world.auditLog.append(draft, { receipt: true })
}

/** Puts a settlement on record; `id` stays the same over retries, so a repeat is recognisable. */
export function signSettlement(settlement: Settlement, id: string, world: Signing): Promise<Signed> {
  const pseudonym = pseudonymOf(settlement.admitted.facts.identity, world)
  return world.auditLog.append(settlementRecord(settlement, id, pseudonym))
}

function pseudonymOf(identity: Identity | undefined, world: Signing): string | undefined {
  if (identity === undefined) return undefined
  const person = identity.single.user ?? identity.subject
  return world.pseudonyms.of(identity.single.tenant ?? '', identity.issuer, person)
}
