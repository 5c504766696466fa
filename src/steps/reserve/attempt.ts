/**
 * One try to reserve everything that a call touches, with the ledger's own clock and, where that is wanted, with leave to
 * hold less for a shorter answer.
 */
import { planCharges } from '../../domain/ledger/charges.ts'
import type { PlannedCharge } from '../../domain/ledger/charges.ts'
import type { Facts } from '../../domain/decision.ts'
import type { Estimate } from '../../domain/prices/estimate.ts'
import { faultOf, LedgerUnavailable } from '../../domain/failures.ts'
import type { Fit } from '../../domain/ledger/fit.ts'
import { isBeingRebuilt, LEDGER_FAULTS } from '../../domain/ledger/ledger-fault.ts'
import type { LedgerFault } from '../../domain/ledger/ledger-fault.ts'
import { refuse } from '../../domain/refusal.ts'
import type { Refusal } from '../../domain/refusal.ts'
import { LEASE_MS, localId } from '../../domain/ledger/reservation.ts'
import type { ReservationId, ReserveOutcome, Shortfall } from '../../domain/ledger/reservation.ts'
import type { World } from '../../ports.ts'
import { fitOf } from '../estimate/grants.ts'
import type { Grants } from '../estimate/grants.ts'
import { persist } from '../settle/persist.ts'

/** Facts with everything that a reservation is made from. */
export type Estimated = Facts & Required<Pick<Facts, 'identity' | 'ask' | 'target' | 'price' | 'estimate'>>

export type Reserving = Pick<World, 'ledger' | 'clock' | 'events' | 'openCalls' | 'timer'> & {
  readonly auditLog: Pick<World['auditLog'], 'origin'>
}

/** A ledger whose clock moved past a calendar edge answers `stale` once; a second time something is wrong with a clock. */
const STALE_RETRIES = 1

/** How the answer may be shortened, and what that does to the charges. */
export interface Shortening {
  readonly grants: Grants
  readonly fit: Fit
}

export interface Attempt {
  readonly id: ReservationId
  readonly charges: readonly PlannedCharge[]
  readonly shortening: Shortening | undefined
  readonly outcome: ReserveOutcome
  /** The instant whose windows were charged: by our own clock, or by the ledger's when that found ours stale. */
  readonly nowMs: number
}

/** `turn` numbers the attempts of one call from 0. */
export async function attempt(
  facts: Estimated,
  world: Reserving,
  { turn, grants }: { readonly turn: number; readonly grants?: Grants | undefined },
): Promise<(Attempt & { kind: 'tried' }) | Refusal> {
  let nowMs = world.clock.nowMs()
  for (let retry = 0; ; retry += 1) {
    const planned = plan(facts, facts.estimate, nowMs)
    if (planned.kind === 'refused') return planned
    const { charges } = planned
    const shortening = grants && shorten(facts, charges, grants)
    // What was refused may have been held in parts and given back, which is remembered: no id is used twice.
    const id = `${facts.call.id}.${turn * (STALE_RETRIES + 1) + retry + 1}`
    const outcome = await ask(facts, { id, charges, shortening }, world)
    if (outcome.kind === 'failed') return outcome.refusal
    if (outcome.kind !== 'stale' || retry >= STALE_RETRIES) {
      return { kind: 'tried', id, charges, shortening, outcome, nowMs }
    }
    nowMs = outcome.nowMs
  }
}

function plan(facts: Estimated, estimate: Estimate, nowMs: number) {
  return planCharges(facts.policy, facts.identity, facts.ask, facts.target, estimate, nowMs)
}

/** What a shorter answer takes of planned charges. The windows are those of the charges, whatever the time. */
export function shorten(facts: Estimated, charges: readonly PlannedCharge[], grants: Grants): Shortening | undefined {
  const unanswered = plan(facts, grants.at(0), facts.call.startedAtMs)
  if (unanswered.kind === 'refused') return undefined
  return { grants, fit: fitOf(charges, unanswered.charges, grants, facts.ask.choices) }
}

type Asked = Pick<Attempt, 'id' | 'charges' | 'shortening'>

async function ask(
  facts: Estimated,
  asked: Asked,
  world: Reserving,
): Promise<ReserveOutcome | { readonly kind: 'failed'; readonly refusal: Refusal }> {
  const { id, charges, shortening } = asked
  const owner = world.auditLog.origin
  try {
    return await world.ledger.reserve({ id, charges, leaseMs: LEASE_MS, owner, fit: shortening?.fit })
  } catch (error) {
    world.events.ledgerFailed('reserve', error)
    // Nothing is undone of what certainly did not happen: a store that is away is spared a storm of voids.
    if (!(error instanceof LedgerUnavailable) || error.maybeDone) undo(facts, asked, world)
    const isAway = error instanceof LedgerUnavailable && !isBeingRebuilt(error.fault)
    const local = isAway ? await askLocally(asked, world) : undefined
    if (local === undefined) return { kind: 'failed', refusal: ledgerAway(faultOf(error)) }
    return local.kind === 'refused' ? { kind: 'failed', refusal: shareUsedUp(charges, local.shortfalls) } : local
  }
}

/**
 * What this node decides on its own; undefined when a rule of the call gives no share while the ledger is away. Answers are
 * not shortened meanwhile: what is left of a share is not what is left of the rule.
 */
async function askLocally({ id, charges }: Asked, world: Reserving): Promise<ReserveOutcome | undefined> {
  const owner = world.auditLog.origin
  return world.ledger.reserveLocally?.({ id: localId(id), charges, leaseMs: LEASE_MS, owner })
}

/** Not a 429: the caller is within its limits, but the rest of them is out of reach for now. */
function shareUsedUp(charges: readonly PlannedCharge[], shortfalls: readonly Shortfall[]): Refusal {
  const rules = [...new Set(shortfalls.map(({ index }) => charges[index]?.rule ?? ''))]
  const message = `The ledger is away, and what this gateway may give of ${rules.join(', ')} meanwhile is used up. Try again shortly.`
  return refuse('ledger_unavailable', message, { reason: 'local_share', also: rules })
}

/**
 * A reserve whose answer is not known may have happened, or may still happen: it is voided until the ledger says so, and
 * one that arrives after that is refused there. Nobody waits for it but shutdown.
 */
export function undo(facts: Estimated, { id, charges }: Pick<Attempt, 'id' | 'charges'>, world: Reserving): void {
  const write = () => world.ledger.void({ id, charges, owner: world.auditLog.origin })
  world.openCalls.track(persist({ callId: facts.call.id, store: 'ledger', write }, world))
}

export function ledgerAway(fault: LedgerFault): Refusal {
  const message = `Limits and budgets cannot be checked right now: ${LEDGER_FAULTS[fault]}. Try again shortly.`
  return refuse('ledger_unavailable', message, { reason: fault })
}
