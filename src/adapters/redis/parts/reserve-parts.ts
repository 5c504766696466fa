/**
 * A decision over several shards of a Cluster: all its parts at once, and when one is not held, none is.
 */
import type { ReservationRequest, ReserveOutcome } from '../../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../../domain/failures.ts'
import { isHeld, mergeReserve } from './merge.ts'
import type { Outbox } from './outbox.ts'
import type { PartScripts } from './part-scripts.ts'
import type { Part } from './parts.ts'

/** The answer does not wait until what is held of a refused decision is given back. */
export async function reserveParts(
  request: ReservationRequest,
  parts: readonly Part[],
  { scripts, outbox, epoch }: { readonly scripts: PartScripts; readonly outbox: Outbox; readonly epoch: string },
): Promise<ReserveOutcome> {
  if (!(await outbox.isSettled(request.id))) {
    const problem = 'Redis: what another shard refused is still to be given back'
    throw new LedgerUnavailable(problem, { fault: 'timeout', maybeDone: false })
  }
  const { answers, errors } = await allOf(parts, async (part) => ({
    part,
    outcome: await scripts.reserve(request, part, epoch),
  }))
  const held = answers.filter(isHeld)
  if (held.length < parts.length) {
    outbox.add(
      request.id,
      held.map(
        ({ part }) =>
          () =>
            scripts.giveBack(request, part, 'revoke'),
      ),
    )
  }
  if (errors.length > 0) throw mostUncertain(errors)
  return mergeReserve(answers)
}

/** Does something with each part. Each is tried, whatever becomes of the others. */
export async function allOf<Answer>(
  parts: readonly Part[],
  run: (part: Part) => Promise<Answer>,
): Promise<{ readonly answers: readonly Answer[]; readonly errors: readonly unknown[] }> {
  const ends = await Promise.allSettled(parts.map((part) => run(part)))
  return {
    answers: ends.flatMap((end) => (end.status === 'fulfilled' ? [end.value] : [])),
    errors: ends.flatMap((end): unknown[] => (end.status === 'rejected' ? [end.reason] : [])),
  }
}

/** An error after which something may have happened, if there is one: then the caller has to void. */
export function mostUncertain(errors: readonly unknown[]): unknown {
  return errors.find((error) => !(error instanceof LedgerUnavailable) || error.maybeDone) ?? errors[0]
}
