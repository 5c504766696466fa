import { planCharges } from '../domain/charges.ts'
import type { PlannedCharge } from '../domain/charges.ts'
import type { Decision, Facts } from '../domain/decision.ts'
import type { Estimate } from '../domain/estimate.ts'
import { faultOf, LedgerUnavailable } from '../domain/failures.ts'
import { LEDGER_FAULTS } from '../domain/ledger-fault.ts'
import type { LedgerFault } from '../domain/ledger-fault.ts'
import { refuse } from '../domain/refusal.ts'
import type { Refusal } from '../domain/refusal.ts'
import { LEASE_MS, localId } from '../domain/reservation.ts'
import type { ReserveOutcome, Shortfall } from '../domain/reservation.ts'
import { refuseForShortfalls } from '../domain/shortfall.ts'
import type { World } from '../ports.ts'
import { persist } from './settle/persist.ts'

/** Facts with everything that a reservation is made from. */
export type Estimated = Facts & Required<Pick<Facts, 'identity' | 'ask' | 'target' | 'price' | 'estimate'>>

type Reserving = Pick<World, 'ledger' | 'clock' | 'events' | 'openCalls' | 'timer'> & {
  readonly auditLog: Pick<World['auditLog'], 'origin'>
}

/** A ledger whose clock moved past a calendar edge answers `stale` once; a second time something is wrong with a clock. */
const STALE_RETRIES = 1

interface Attempt {
  readonly charges: readonly PlannedCharge[]
  readonly outcome: ReserveOutcome
  /** The instant whose windows were charged: by our own clock, or by the ledger's when that found ours stale. */
  readonly nowMs: number
}

/**
 * Policies and estimate -> decision. One atomic reservation over every limit and budget the call touches; when one has
 * no room, none is charged. `refine` gives a tighter estimate, or undefined when there is none: it is asked only when
 * the first one found a budget short, so an ordinary call never pays for a tokenizer.
 */
export async function reserve(
  facts: Estimated,
  refine: (shortfalls: readonly Shortfall[], charges: readonly PlannedCharge[]) => Promise<Estimate | undefined>,
  world: Reserving,
): Promise<Decision> {
  const first = await attempt(facts, world)
  if (first.kind === 'refused') return { kind: 'refused', facts, refusal: first }
  if (first.outcome.kind !== 'refused') return conclude(facts, first, world)
  const tighter = await refine(first.outcome.shortfalls, first.charges)
  if (tighter === undefined) return conclude(facts, first, world)
  const refined = { ...facts, estimate: tighter }
  const second = await attempt(refined, world)
  if (second.kind === 'refused') return { kind: 'refused', facts: refined, refusal: second }
  return conclude(refined, second, world)
}

async function attempt(facts: Estimated, world: Reserving): Promise<(Attempt & { kind: 'tried' }) | Refusal> {
  let nowMs = world.clock.nowMs()
  for (let retry = 0; ; retry += 1) {
    const planned = planCharges(facts.policy, facts.identity, facts.ask, facts.target, facts.estimate, nowMs)
    if (planned.kind === 'refused') return planned
    const outcome = await ask(facts, planned.charges, world)
    if (outcome.kind === 'failed') return outcome.refusal
    if (outcome.kind !== 'stale' || retry >= STALE_RETRIES) {
      return { kind: 'tried', charges: planned.charges, outcome, nowMs }
    }
    nowMs = outcome.nowMs
  }
}

async function ask(
  facts: Estimated,
  charges: readonly PlannedCharge[],
  world: Reserving,
): Promise<ReserveOutcome | { readonly kind: 'failed'; readonly refusal: Refusal }> {
  const id = reservationId(facts)
  try {
    return await world.ledger.reserve({ id, charges, leaseMs: LEASE_MS, owner: world.auditLog.origin })
  } catch (error) {
    world.events.ledgerFailed('reserve', error)
    // Nothing is undone of what certainly did not happen: a store that is away is spared a storm of voids.
    if (!(error instanceof LedgerUnavailable) || error.maybeDone) undo(facts, charges, world)
    const local = error instanceof LedgerUnavailable ? await askLocally(facts, charges, world) : undefined
    if (local === undefined) return { kind: 'failed', refusal: ledgerAway(faultOf(error)) }
    return local.kind === 'refused' ? { kind: 'failed', refusal: shareUsedUp(charges, local.shortfalls) } : local
  }
}

/** What this node decides on its own; undefined when a rule of the call gives no share while the ledger is away. */
async function askLocally(
  facts: Estimated,
  charges: readonly PlannedCharge[],
  world: Reserving,
): Promise<ReserveOutcome | undefined> {
  const id = localId(reservationId(facts))
  return world.ledger.reserveLocally?.({ id, charges, leaseMs: LEASE_MS, owner: world.auditLog.origin })
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
function undo(facts: Estimated, charges: readonly PlannedCharge[], world: Reserving): void {
  const write = () => world.ledger.void({ id: reservationId(facts), charges, owner: world.auditLog.origin })
  world.openCalls.track(persist({ callId: facts.call.id, store: 'ledger', write }, world))
}

function reservationId(facts: Estimated): string {
  return `${facts.call.id}.1`
}

function ledgerAway(fault: LedgerFault): Refusal {
  const message = `Limits and budgets cannot be checked right now: ${LEDGER_FAULTS[fault]}. Try again shortly.`
  return refuse('ledger_unavailable', message, { reason: fault })
}

function conclude(facts: Estimated, attempted: Attempt, world: Reserving): Decision {
  const { charges, outcome, nowMs } = attempted
  switch (outcome.kind) {
    case 'held': {
      const readAtMs = Math.floor(outcome.hold.atUs / 1_000)
      const known = { ...facts, charges, states: outcome.states, readAtMs }
      return { kind: 'admitted', facts: known, hold: outcome.hold }
    }
    case 'refused': {
      const refusal = refuseForShortfalls(charges, outcome.shortfalls, nowMs)
      return { kind: 'refused', facts: { ...facts, ...short(charges, outcome.shortfalls), readAtMs: nowMs }, refusal }
    }
    case 'duplicate':
    case 'stale':
      // A repeat is known when a command was sent again over a new connection: whatever the first one did is undone.
      if (outcome.kind === 'duplicate') undo(facts, charges, world)
      world.events.ledgerFailed('reserve', new Error(`unexpected answer: ${outcome.kind}`))
      return { kind: 'refused', facts: { ...facts, charges }, refusal: ledgerAway('unexpected') }
  }
}

/** A refusal reports the accumulators that are short, with what the ledger read there. */
function short(
  charges: readonly PlannedCharge[],
  shortfalls: readonly Shortfall[],
): Pick<Required<Facts>, 'charges' | 'states'> {
  const named = shortfalls.flatMap((shortfall) => {
    const charge = charges[shortfall.index]
    return charge === undefined ? [] : [{ charge, state: shortfall.state }]
  })
  return { charges: named.map((entry) => entry.charge), states: named.map((entry) => entry.state) }
}
