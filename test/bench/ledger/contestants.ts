import { startRedis } from '../redis.ts'
import type { Contestant, ContestantName } from './contestant.ts'
import { flexibleContestant, incrbyContestant } from './others.ts'
import { startRedisCluster } from '../../support/redis-cluster.ts'
import { clusterContestant, memoryContestant, redisContestant } from './own-ledger.ts'

/** Each contestant has a store of its own, so that none works in a fuller one than another. */
const START: Readonly<Record<ContestantName, (place: Place) => Promise<Contestant>>> = {
  incrby: async (place) => incrbyContestant(await redisOf(place)),
  memory: async () => memoryContestant(),
  redis: async (place) => redisContestant(await redisOf(place)),
  cluster: async ({ parts }) => clusterContestant(parts.use(await startRedisCluster()), { apart: false }),
  'cluster-apart': async ({ parts }) => clusterContestant(parts.use(await startRedisCluster()), { apart: true }),
  flexible: async (place) => flexibleContestant(await redisOf(place)),
}

interface Place {
  readonly folder: string
  /** Ends what was started, in reverse order. */
  readonly parts: AsyncDisposableStack
}

export async function startContestant(
  name: ContestantName,
  folder: string,
  parts: AsyncDisposableStack,
): Promise<Contestant> {
  return parts.use(await START[name]({ folder, parts }))
}

async function redisOf({ folder, parts }: Place): Promise<{ readonly url: string; readonly pid: number }> {
  return parts.use(await startRedis(folder))
}
