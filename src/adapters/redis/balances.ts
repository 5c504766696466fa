import type { Accumulator, AccumulatorState } from '../../domain/accumulator.ts'
import { chunksOf } from './chunks.ts'
import type { RedisCommands } from './client.ts'
import type { Keys } from './keys.ts'
import { whole } from './parts.ts'
import { Reply } from './replies.ts'
import { balancesArguments } from './script-arguments.ts'
import type { Scripts } from './scripts.ts'

/** Accumulators in one read: bounds the time for which a report holds up decisions. */
const ACCUMULATORS_PER_READ = 100

/** States in the order of the accumulators, those of one script at one moment. */
export async function readBalances(
  { redis, keys, scripts }: { readonly redis: RedisCommands; readonly keys: Keys; readonly scripts: Scripts },
  accumulators: readonly Accumulator[],
): Promise<readonly AccumulatorState[]> {
  const placed = accumulators.map((accumulator, place) => ({ accumulator, place }))
  const groups = Map.groupBy(placed, ({ accumulator }) => (redis.isSlotted ? accumulator.shard : 0)).values()
  const reads = [...groups]
    .flatMap((group) => chunksOf(ACCUMULATORS_PER_READ, group))
    .map(async (chunk) => {
      const asked = chunk.map(({ accumulator }) => accumulator)
      const names = asked.map((accumulator) => keys.accumulator(accumulator))
      const reply = await redis.evaluate(scripts.balances, names, balancesArguments(asked))
      return { part: { places: chunk.map(({ place }) => place) }, values: new Reply(reply).states() }
    })
  return whole(await Promise.all(reads))
}
