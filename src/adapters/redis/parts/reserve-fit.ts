/**
 * A shorter answer over several shards of a Cluster. No script sees them all, so there are two phases: a look at what they
 * afford together, and a reservation of exactly that, which every part grants or refuses. Whatever came between the two
 * can only make a part refuse, and then none is held.
 */
import type { AccumulatorState } from '../../../domain/ledger/accumulator.ts'
import { affordableTokens } from '../../../domain/ledger/fit.ts'
import type { Fit } from '../../../domain/ledger/fit.ts'
import type { ReservationRequest, ReserveOutcome } from '../../../domain/ledger/reservation.ts'

/** Looks for one decision: calls that race for the rest of a budget see each other's holds by the second. */
const LOOKS_MAX = 3

interface Steps {
  look(): Promise<readonly AccumulatorState[]>
  reserve(request: ReservationRequest): Promise<ReserveOutcome>
}

export async function reserveFit(request: ReservationRequest, fit: Fit, steps: Steps): Promise<ReserveOutcome> {
  for (let looks = 1; ; looks += 1) {
    const tokens = affordableTokens(fit, shortOf(request, await steps.look()))
    if (tokens === undefined) return reserveWhole(request, fit, steps)
    const outcome = await steps.reserve({ ...request, fit: { ...fit, asked: tokens, least: tokens } })
    if (outcome.kind !== 'refused' || looks === LOOKS_MAX) return outcome
  }
}

/** Is refused with all that a refusal says, unless room has just come for the whole. */
async function reserveWhole(request: ReservationRequest, fit: Fit, steps: Steps): Promise<ReserveOutcome> {
  const outcome = await steps.reserve({ ...request, fit: undefined })
  return outcome.kind === 'held' ? { ...outcome, granted: fit.asked } : outcome
}

function shortOf({ charges }: ReservationRequest, states: readonly AccumulatorState[]) {
  return states.flatMap((state, index) => {
    const amount = charges[index]?.amount ?? 0
    return state.settled + state.held + amount > state.limit ? [{ index, state }] : []
  })
}
