import type { Accumulator, AccumulatorState } from '../../domain/ledger/accumulator.ts'
import { chunksOf } from './chunks.ts'
import type { RedisCommands } from './connection/client.ts'
import type { EpochGuard } from './epoch/epoch-guard.ts'
import type { Keys } from './keys.ts'
import { whole } from './parts/parts.ts'
import { Reply } from './replies.ts'
import { balancesArguments } from './script-arguments.ts'
import type { Scripts } from './scripts.ts'

/** Accumulators in one read: bounds the time for which a report holds up decisions. */
const ACCUMULATORS_PER_READ = 100

interface Reading {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
  readonly guard: EpochGuard | undefined
}

/** What callers may be told: only by a store that knows all. Without a guard, whatever is there. */
export async function tellBalances(
  reading: Reading,
  accumulators: readonly Accumulator[],
): Promise<readonly AccumulatorState[]> {
  const read = (epoch: string) => readBalances(reading, accumulators, epoch)
  return reading.guard === undefined ? read('') : reading.guard.reading(read)
}

/** States in the order of the accumulators, those of one script at one moment. `epoch` is empty without a guard. */
export async function readBalances(
  { redis, keys, scripts, guard }: Reading,
  accumulators: readonly Accumulator[],
  epoch: string,
): Promise<readonly AccumulatorState[]> {
  const placed = accumulators.map((accumulator, place) => ({ accumulator, place }))
  const groups = Map.groupBy(placed, ({ accumulator }) => (redis.isSlotted ? accumulator.shard : 0)).values()
  const reads = [...groups]
    .flatMap((group) => chunksOf(ACCUMULATORS_PER_READ, group))
    .map(async (chunk) => {
      const asked = chunk.map(({ accumulator }) => accumulator)
      const counters = asked.map((accumulator) => keys.accumulator(accumulator))
      const names = [...counters, keys.epoch(asked[0]?.shard ?? 0)]
      const reply = await redis.evaluate(scripts.balances, names, [...balancesArguments(asked), epoch])
      guard?.heed(reply, epoch)
      return { part: { places: chunk.map(({ place }) => place) }, values: new Reply(reply).states() }
    })
  return whole(await Promise.all(reads))
}
