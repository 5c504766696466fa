/**
 * A decision as it is asked for: in one script where it has one part, or else over all of its shards.
 */
import type { Accumulator, AccumulatorState } from '../../../domain/ledger/accumulator.ts'
import type { ReservationRequest, ReserveOutcome } from '../../../domain/ledger/reservation.ts'
import type { Outbox } from './outbox.ts'
import type { PartScripts } from './part-scripts.ts'
import type { Part } from './parts.ts'
import { reserveFit } from './reserve-fit.ts'
import { reserveParts } from './reserve-parts.ts'

interface Tools {
  readonly scripts: PartScripts
  readonly outbox: Outbox
  readonly epoch: string
  readonly balances: (accumulators: readonly Accumulator[]) => Promise<readonly AccumulatorState[]>
}

export async function reserveWhole(
  request: ReservationRequest,
  parts: readonly Part[],
  tools: Tools,
): Promise<ReserveOutcome> {
  const [only, ...others] = parts
  if (only === undefined) throw new RangeError('a decision has at least one part')
  if (others.length === 0) return tools.scripts.reserve(request, only, tools.epoch)
  const reserve = (asked: ReservationRequest) => reserveParts(asked, parts, tools)
  if (request.fit === undefined) return reserve(request)
  const accumulators = request.charges.map(({ accumulator }) => accumulator)
  return reserveFit(request, request.fit, { look: () => tools.balances(accumulators), reserve })
}
