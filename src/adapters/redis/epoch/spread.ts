/**
 * One step for many: for each part of a decision, or for the ids of each shard.
 */
import type { ReservationId } from '../../../domain/ledger/reservation.ts'
import { chunksOf } from '../chunks.ts'
import type { Part } from '../parts/parts.ts'
import { allOf, mostUncertain } from '../parts/reserve-parts.ts'

/** Ids in one call: bounds the time for which an extension or a release holds up decisions. */
const IDS_PER_CALL = 500

/** A shard that keeps a record of a reservation. */
export interface Home {
  readonly home: number
  readonly id: ReservationId
}

/** Does something with each part. Each is tried, whatever becomes of the others. */
export async function ofAll<Outcome>(
  parts: readonly Part[],
  run: (part: Part) => Promise<Outcome>,
): Promise<readonly Outcome[]> {
  const { answers, errors } = await allOf(parts, run)
  if (errors.length > 0) throw mostUncertain(errors)
  return answers
}

/** Does something with the ids of each shard, some at a time. */
export async function ofShards<Answer>(
  homes: readonly Home[],
  run: (shard: number, ids: readonly ReservationId[]) => Promise<readonly Answer[]>,
): Promise<readonly Answer[]> {
  const calls = [...Map.groupBy(homes, ({ home }) => home)].flatMap(([shard, group]) =>
    chunksOf(IDS_PER_CALL, group).map((chunk) =>
      run(
        shard,
        chunk.map(({ id }) => id),
      ),
    ),
  )
  return (await Promise.all(calls)).flat()
}

/** Does something with as many as one script may see: on one Redis those of all shards, on a Cluster those of one. */
export async function inScripts(
  homes: readonly Home[],
  isSlotted: boolean,
  run: (homes: readonly Home[]) => Promise<void>,
): Promise<void> {
  const groups = isSlotted ? [...Map.groupBy(homes, ({ home }) => home).values()] : [homes]
  await Promise.all(groups.flatMap((group) => chunksOf(IDS_PER_CALL, group)).map(run))
}
