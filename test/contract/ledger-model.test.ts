/**
 * The model run: random stories, judged after every step by sums over a plain list of calls.
 */
import * as fc from 'fast-check'
import { STORY_SEED } from '../support/story-seed.ts'
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { VirtualLedger } from '../support/ledgers.ts'
import { openCluster, openMemory, openRedis } from '../support/ledgers.ts'
import { play } from './model/play.ts'
import type { PlayOptions } from './model/play.ts'
import { stories } from './model/stories.ts'

const RUNS_IN_MEMORY = 600
const RUNS_ON_REDIS = 60
/** A list on a Cluster is a look into 1,024 slots. */
const RUNS_ON_CLUSTER = 15

let memory: VirtualLedger
let redis: VirtualLedger
let cluster: VirtualLedger
beforeAll(async () => {
  memory = await openMemory()
  redis = await openRedis()
  cluster = await openCluster()
})
afterAll(async () => {
  await memory[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
  await cluster[Symbol.asyncDispose]()
})

const EVERY_ANSWER = [
  'held',
  'refused',
  'stale',
  'duplicate held',
  'duplicate expired',
  'duplicate settled',
  'settled held',
  'settled expired',
  'settled unknown',
  'already',
  'unknown',
]

async function run(
  ledgers: readonly VirtualLedger[],
  numRuns: number,
  options?: PlayOptions,
): Promise<ReadonlySet<string>> {
  const seen = new Set<string>()
  const property = fc.asyncProperty(stories, async (story) => {
    for (const answer of await play(story, ledgers, options)) seen.add(answer)
  })
  // A failure is told as it was found, with its seed: shrinking a story can take longer than a test may.
  await fc.assert(property, { ...STORY_SEED, numRuns, endOnFailure: true })
  return seen
}

test('the in-process ledger does what sums over its calls say, after every step of any story', async () => {
  const seen = await run([memory], RUNS_IN_MEMORY)
  // The stories have power: every kind of answer was among those judged.
  expect([...seen].sort()).toEqual(EVERY_ANSWER.toSorted())
})

test.each([
  { name: 'Redis', others: () => [redis], options: {}, runs: RUNS_ON_REDIS },
  {
    name: 'Redis and a Cluster of three, in one of its shards,',
    others: () => [redis, cluster],
    options: { shard: 700 },
    runs: RUNS_ON_CLUSTER,
  },
])(
  'the in-process ledger and $name do alike, and what the sums say, after every step',
  async ({ others, options, runs }) => {
    expect((await run([memory, ...others()], runs, options)).size).toBeGreaterThan(EVERY_ANSWER.length / 2)
  },
)

test('a Cluster of three does what the sums say, over many of its shards, after every step', async () => {
  expect((await run([cluster], RUNS_ON_CLUSTER, { isEven: true })).size).toBeGreaterThan(EVERY_ANSWER.length / 2)
})
