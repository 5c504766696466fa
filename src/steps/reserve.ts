import type { PlannedCharge } from '../domain/ledger/charges.ts'
import type { Decision, Facts } from '../domain/decision.ts'
import type { Estimate } from '../domain/prices/estimate.ts'
import { affordableTokens, fitted } from '../domain/ledger/fit.ts'
import type { Shortfall } from '../domain/ledger/reservation.ts'
import { refuseForShortfalls } from '../domain/ledger/shortfall.ts'
import { grantsOf } from './estimate/grants.ts'
import type { Grants } from './estimate/grants.ts'
import { attempt, ledgerAway, shorten, undo } from './reserve/attempt.ts'
import type { Attempt, Estimated, Reserving, Shortening } from './reserve/attempt.ts'

/**
 * A tighter estimate by counting, or undefined when there is none. `smallest` is the estimate of the shortest answer that
 * would do: when even that has no room whatever the text counts, nothing is counted.
 */
export type Refine = (
  shortfalls: readonly Shortfall[],
  charges: readonly PlannedCharge[],
  smallest: Estimate,
) => Promise<Estimate | undefined>

/**
 * Policies and estimate -> decision. One atomic reservation over every limit and budget the call touches; when one has
 * no room, none is charged, and one smaller reservation is tried: with the text counted, and with a shorter answer where
 * all rules that are short have room made for them so. An ordinary call pays for neither.
 */
export async function reserve(facts: Estimated, refine: Refine, world: Reserving): Promise<Decision> {
  const first = await attempt(facts, world, { turn: 0 })
  if (first.kind === 'refused') return { kind: 'refused', facts, refusal: first }
  if (first.outcome.kind !== 'refused') return conclude(facts, first, world)
  const shortening = shorteningOf(facts, first, first.outcome.shortfalls)
  const next = await smaller(facts, { ...first, shortening }, first.outcome.shortfalls, refine)
  if (next === undefined) return conclude(facts, { ...first, shortening }, world)
  const second = await attempt(next.facts, world, { turn: 1, grants: next.grants })
  if (second.kind === 'refused') return { kind: 'refused', facts: next.facts, refusal: second }
  return conclude(next.facts, second, world)
}

/** How the answer may be shortened; undefined when it may not be, or when that would not help every rule that is short. */
function shorteningOf(
  facts: Estimated,
  { charges }: Attempt,
  shortfalls: readonly Shortfall[],
): Shortening | undefined {
  if (!shortfalls.every(({ index }) => charges[index]?.fit === true)) return undefined
  const grants = grantsFor(facts)
  return grants && shorten(facts, charges, grants)
}

function grantsFor({ ask, price, estimate, call }: Estimated): Grants | undefined {
  return grantsOf(ask, price, estimate, call.startedAtMs)
}

/** What is tried when the whole found no room; undefined when nothing smaller could find any. */
async function smaller(
  facts: Estimated,
  { charges, shortening }: Attempt,
  shortfalls: readonly Shortfall[],
  refine: Refine,
): Promise<{ readonly facts: Estimated; readonly grants: Grants | undefined } | undefined> {
  const smallest = shortening?.grants.at(shortening.grants.least) ?? facts.estimate
  const tighter = await refine(shortfalls, charges, smallest)
  if (tighter !== undefined) {
    const refined = { ...facts, estimate: tighter }
    return { facts: refined, grants: shortening && grantsFor(refined) }
  }
  if (shortening === undefined || affordableTokens(shortening.fit, shortfalls) === undefined) return undefined
  return { facts, grants: shortening.grants }
}

function conclude(facts: Estimated, attempted: Attempt, world: Reserving): Decision {
  const { charges, outcome, nowMs } = attempted
  switch (outcome.kind) {
    case 'held': {
      const readAtMs = Math.floor(outcome.hold.atUs / 1_000)
      const known = { ...facts, charges, states: outcome.states, readAtMs, ...shortened(attempted, outcome.granted) }
      return { kind: 'admitted', facts: known, hold: outcome.hold }
    }
    case 'refused': {
      const refusal = refuseForShortfalls(leastOf(attempted), outcome.shortfalls, nowMs)
      return { kind: 'refused', facts: { ...facts, ...short(charges, outcome.shortfalls), readAtMs: nowMs }, refusal }
    }
    case 'duplicate':
    case 'stale':
      // A repeat is known when a command was sent again over a new connection: whatever the first one did is undone.
      if (outcome.kind === 'duplicate') undo(facts, attempted, world)
      world.events.ledgerFailed('reserve', new Error(`unexpected answer: ${outcome.kind}`))
      return { kind: 'refused', facts: { ...facts, charges }, refusal: ledgerAway('unexpected') }
  }
}

/** What an admitted call is taken for when its answer was made shorter. */
function shortened({ charges, shortening }: Attempt, granted: number | undefined): Pick<Facts, 'charges' | 'estimate'> {
  if (shortening === undefined || granted === undefined || granted === shortening.grants.asked) return {}
  return { charges: fitted(charges, shortening.fit, granted), estimate: shortening.grants.at(granted) }
}

/** What the call needs at least: a rule that lets answers be shortened refuses only what no shorter one would cure. */
function leastOf({ charges, shortening }: Attempt): readonly PlannedCharge[] {
  if (shortening === undefined) return charges
  const least = fitted(charges, shortening.fit, shortening.grants.least)
  return charges.map((charge, index) => (charge.fit === true ? (least[index] ?? charge) : charge))
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
