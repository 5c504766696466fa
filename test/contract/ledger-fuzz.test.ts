/**
 * Differential fuzz: the same random story on the in-process ledger and on Redis, every answer and the whole visible state
 * compared after every step.
 */
import { expect, test } from 'vitest'

import { openCluster, openMemory, openRedis } from '../support/ledgers.ts'
import { accumulator, hourly, lifetime, places, ring } from './ledger-fixtures.ts'
import { COMMON_ANSWERS, EVERY_ANSWER, POOL, compareStories } from './ledger-stories.ts'
import type { StoryOptions } from './ledger-stories.ts'

const RUNS = 100
/** On a Cluster a look at everything is a look at 1,024 slots: too slow to search for the shortest failure, too. */
const CLUSTER_RUNS = 15

const EVERYTHING: StoryOptions = {
  pool: POOL,
  limits: [20, 20, 20, 9, 50],
  versions: [1, 1, 1, 2, 3],
  fits: true,
  listsBudgets: true,
}

/** A decision in one shard is one script on a Cluster, too. */
const ONE_SHARD: StoryOptions = {
  ...EVERYTHING,
  pool: POOL.map((make) => (nowMs, limit) => ({ ...make(nowMs, limit), shard: 77 })),
}

/**
 * Over several shards a refused call was held in some for a moment. That leaves its limit in force there, its time of
 * last use, and a refund in a bucket: what depends on these is not compared.
 */
const MANY_SHARDS: StoryOptions = {
  pool: [
    (nowMs, limit) => hourly(nowMs, limit, { shard: 1 }),
    (_, limit) => lifetime(limit, { shard: 2 }),
    (_, limit) => places(limit % 4, { shard: 1_023 }),
    (_, limit) => ring(limit, { shard: 0 }),
    (_, limit) => accumulator({ kind: 'sliding', windowMs: 7_001, slots: 3 }, limit, { key: 'odd', shard: 500 }),
  ],
  limits: [22],
  versions: [1],
  fits: false,
  listsBudgets: false,
}

test.each([
  { name: 'Redis', open: openRedis, options: EVERYTHING, runs: RUNS, answers: EVERY_ANSWER },
  { name: 'Redis Cluster in one shard', open: openCluster, options: ONE_SHARD, runs: CLUSTER_RUNS },
  { name: 'Redis Cluster in many shards', open: openCluster, options: MANY_SHARDS, runs: CLUSTER_RUNS },
])(
  '$name answers every story as the in-process ledger does',
  async ({ open, options, runs, answers = COMMON_ANSWERS }) => {
    await using other = await open()
    await using memory = await openMemory()
    const seen = await compareStories({ memory, other }, { ...options, runs, endOnFailure: runs < RUNS })
    // The stories have power: these kinds of answers were among those compared.
    expect([...seen].sort()).toEqual(expect.arrayContaining(answers))
  },
)
