/**
 * The model run: random stories, judged after every step by sums over a plain list of calls.
 */
import * as fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { VirtualLedger } from '../support/ledgers.ts'
import { openMemory, openRedis } from '../support/ledgers.ts'
import { play } from './model/play.ts'
import { stories } from './model/stories.ts'

const RUNS_IN_MEMORY = 600
const RUNS_EVERYWHERE = 60

let memory: VirtualLedger
let redis: VirtualLedger
beforeAll(async () => {
  memory = await openMemory()
  redis = await openRedis()
})
afterAll(async () => {
  await memory[Symbol.asyncDispose]()
  await redis[Symbol.asyncDispose]()
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

async function run(ledgers: readonly VirtualLedger[], numRuns: number): Promise<ReadonlySet<string>> {
  const seen = new Set<string>()
  const property = fc.asyncProperty(stories, async (story) => {
    for (const answer of await play(story, ledgers)) seen.add(answer)
  })
  // A failure is told as it was found, with its seed: shrinking a story can take longer than a test may.
  await fc.assert(property, { numRuns, endOnFailure: true })
  return seen
}

test('the in-process ledger does what sums over its calls say, after every step of any story', async () => {
  const seen = await run([memory], RUNS_IN_MEMORY)
  // The stories have power: every kind of answer was among those judged.
  expect([...seen].sort()).toEqual(EVERY_ANSWER.toSorted())
})

test('the in-process ledger and Redis do alike, and what the sums say, after every step of any story', async () => {
  expect((await run([memory, redis], RUNS_EVERYWHERE)).size).toBeGreaterThan(EVERY_ANSWER.length / 2)
})
