/**
 * Does the model run see anything? Each of these bugs is put into the text that serves, and the run must find it: a bug
 * that survives fails here.
 */
import { AssertionError } from 'node:assert'
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { VirtualLedger } from '../support/ledgers.ts'
import { openCluster, openMemory, openRedis } from '../support/ledgers.ts'
import type { Mutation } from './model/mutants.ts'
import { mutatedLedgers, mutatedPieces } from './model/mutants.ts'
import { play } from './model/play.ts'
import type { PlayOptions } from './model/play.ts'
import { stories } from './model/stories.ts'

/** The same stories every time. They find each of these bugs within some dozens; the bound is for bugs that are not there. */
const SEED = 7
const RUNS_MAX = 200

/** What the model run says against a ledger; undefined when it is content. Any other failure than a wrong answer is none. */
async function findingOn(
  ledger: VirtualLedger,
  options?: PlayOptions,
  numRuns = RUNS_MAX,
): Promise<string | undefined> {
  const property = fc.asyncProperty(stories, async (story) => void (await play(story, [ledger], options)))
  const run = await fc.check(property, { numRuns, seed: SEED, endOnFailure: true })
  if (!run.failed) return undefined
  if (run.errorInstance instanceof AssertionError) return run.errorInstance.message
  throw run.errorInstance
}

const PIECES: readonly Mutation[] = [
  {
    bug: 'a bucket refunds what it has drained by itself',
    where: 'settle',
    from: 'math.min(held - actual, owed, state.debt)',
    to: 'math.min(held - actual, state.debt)',
  },
  {
    bug: 'a bucket that has drained forgives what a call cost beyond its charge',
    where: 'settle',
    from: 'if actual > held then\n    local debt',
    to: "if actual > held then\n    if redis.call('EXISTS', key) == 0 then return end\n    local debt",
  },
  {
    bug: 'a ring gives back nothing',
    where: 'settle',
    from: 'if actual == held or (mark == -1',
    to: 'if actual <= held or (mark == -1',
  },
  {
    bug: 'a hold that expires is released',
    where: 'expire',
    from: 'post_counter(key, a == 0 and b == 0, held, held)',
    to: 'post_counter(key, a == 0 and b == 0, held, 0)',
  },
  {
    bug: 'a place is not freed when its hold expires',
    where: 'expire',
    from: 'post_counter(key, false, held, 0) == 0',
    to: 'post_counter(key, false, 0, 0) == 0',
  },
  {
    bug: 'a settlement leaves no trace, so a repeat settles again',
    where: 'settle',
    from: "redis.call('SET', KEYS[1], 'S' .. ARGV[5], 'PXAT', now_ms + tonumber(ARGV[2]))",
    to: '',
  },
  {
    bug: 'a void that comes first is forgotten',
    where: 'settle',
    from: "if before == '-' then\n  bury()",
    to: "if before == '-' then",
  },
  {
    bug: 'a late settlement is charged on top of the expiry',
    where: 'settle',
    from: 'post_counter(key, is_for_ever, 0, actual - held)',
    to: 'post_counter(key, is_for_ever, 0, actual)',
  },
  {
    bug: "a late settlement frees another call's place",
    where: 'settle',
    from: "if before ~= 'R' or redis.call('EXISTS', key) == 0 then return end",
    to: "if redis.call('EXISTS', key) == 0 then return end",
  },
  {
    bug: 'one accumulator is left out of the check',
    where: 'reserve',
    from: 'if state.limit - (state.debt or state.settled) - state.held - entry.amount < 0 then',
    to: 'if i ~= 2 and state.limit - (state.debt or state.settled) - state.held - entry.amount < 0 then',
  },
  {
    bug: 'a charge that fills the limit is refused',
    where: 'reserve',
    from: 'state.held - entry.amount < 0 then',
    to: 'state.held - entry.amount <= 0 then',
  },
  {
    bug: 'a charge one above the limit is admitted',
    where: 'reserve',
    from: 'state.held - entry.amount < 0 then',
    to: 'state.held - entry.amount < -1 then',
  },
  {
    bug: 'a refusal writes',
    where: 'reserve',
    from: 'if #short > 0 and not granted then return',
    to: "if #short > 0 and not granted then redis.call('HINCRBY', KEYS[#KEYS], 'r', 1) return",
  },
  {
    bug: 'a repeat reserves again',
    where: 'reserve',
    from: "if known then return {'duplicate', string.sub(known, 1, 1)} end",
    to: '',
  },
  {
    bug: 'a window that is over is charged',
    where: 'reserve',
    from: 'now_ms >= entry.b) then return',
    to: 'false) then return',
  },
  {
    bug: "an older policy's limit wins",
    where: 'accumulators',
    from: 'if stored > version then return tonumber(stored_limit), false end',
    to: '',
  },
  {
    bug: 'an extension shortens a lease',
    where: 'extend',
    from: "'XX', 'GT', until_ms",
    to: "'XX', until_ms",
  },
  {
    bug: 'a hold that is known is held once more',
    where: 'reassert',
    from: "if known then return {'known', string.sub(known, 1, 1)} end",
    to: '',
  },
]

const SOURCES: readonly Mutation[] = [
  {
    bug: 'a ring has as many slots as its window has parts',
    where: 'domain/ledger/accumulator-geometry.ts',
    from: 'return shape.slots + 1',
    to: 'return shape.slots',
  },
  {
    bug: 'a bucket refunds what it has drained by itself',
    where: 'adapters/memory/bucket.ts',
    from: 'Math.min(-excess, stillOwed, now.debt)',
    to: 'Math.min(-excess, now.debt)',
  },
  {
    bug: 'a hold that expires is released',
    where: 'adapters/memory/accumulators.ts',
    from: "const add = charge.accumulator.shape.kind === 'budget' ? charge.amount : 0",
    to: 'const add = 0',
  },
  {
    bug: 'a settlement leaves the hold, so it expires as well',
    where: 'adapters/memory/ledger.ts',
    from: '    this.#held.delete(id)\n',
    to: '',
  },
  {
    bug: 'a late settlement is charged on top of the expiry',
    where: 'adapters/memory/accumulators.ts',
    from: 'settlement.actual - (wasHeld ? 0 : charge.amount)',
    to: 'settlement.actual',
  },
  {
    bug: 'one accumulator is left out of the check',
    where: 'adapters/memory/accumulators.ts',
    from: 'const shortfalls = shortfallsOf(verdicts)',
    to: 'const shortfalls = shortfallsOf(verdicts).filter(({ index }) => index !== 1)',
  },
  {
    bug: 'a charge that fills the limit is refused',
    where: 'adapters/memory/counter.ts',
    from: 'state.limit - settled - held - amount < 0',
    to: 'state.limit - settled - held - amount <= 0',
  },
  {
    bug: 'a refusal writes',
    where: 'adapters/memory/accumulators.ts',
    from: "if (shortfalls.length > 0 && granted === undefined) return { kind: 'refused', shortfalls }",
    to: "if (shortfalls.length > 0 && granted === undefined) { verdicts[0]?.take(1); return { kind: 'refused', shortfalls } }",
  },
]

describe('the model run finds, on Redis,', () => {
  test.each(PIECES.map((mutation) => [mutation.bug, mutation] as const))('that %s', async (_, mutation) => {
    await using broken = await openRedis({ read: mutatedPieces(mutation) })
    expect(await findingOn(broken)).toBeTypeOf('string')
  })
})

/** What only several shards can get wrong. */
const PARTS: readonly Mutation[] = [
  {
    bug: 'what a refused decision holds in other shards is not given back',
    where: 'adapters/redis/parts/reserve-parts.ts',
    from: 'if (held.length < parts.length) {',
    to: 'if (held.length === 0) {',
  },
  {
    bug: 'one part of a decision is not settled',
    where: 'adapters/redis/ledger.ts',
    from: 'return partsOf(charges, this.#redis.isSlotted)',
    to: 'return partsOf(charges, this.#redis.isSlotted).slice(-1)',
  },
  {
    bug: 'a decision is admitted when one of its shards admits it',
    where: 'adapters/redis/parts/reserve-parts.ts',
    from: 'return mergeReserve(answers)',
    to: 'return mergeReserve(held.length > 0 ? held : answers)',
  },
]

describe('the model run finds, on Redis Cluster,', () => {
  test.each(PARTS.map((mutation) => [mutation.bug, mutation] as const))('that %s', async (_, mutation) => {
    await using mutants = await mutatedLedgers(mutation)
    await using broken = await openCluster({ create: mutants.createRedisLedger })
    expect(await findingOn(broken, { isEven: true })).toBeTypeOf('string')
  })
})

test('the model run finds nothing against a sound Cluster in stories like these', async () => {
  await using sound = await openCluster()
  expect(await findingOn(sound, { isEven: true }, 25)).toBeUndefined()
})

describe('the model run finds, in the process,', () => {
  test.each(SOURCES.map((mutation) => [mutation.bug, mutation] as const))('that %s', async (_, mutation) => {
    await using mutants = await mutatedLedgers(mutation)
    await using broken = await openMemory(mutants.createMemoryLedger)
    expect(await findingOn(broken)).toBeTypeOf('string')
  })
})

describe('a mutant', () => {
  const mutation = { bug: 'none', where: 'domain/ledger/accumulator-geometry.ts', from: 'return shape.slots + 1' }

  test('without a bug is found nothing against', async () => {
    await using mutants = await mutatedLedgers({ ...mutation, to: 'return 1 + shape.slots' })
    await using sound = await openMemory(mutants.createMemoryLedger)
    expect(await findingOn(sound)).toBeUndefined()
  })

  test('of a text that is not there, or there twice, is none', async () => {
    await expect(mutatedLedgers({ ...mutation, from: 'return shape.slots + 2', to: '' })).rejects.toThrow('0 times')
    expect(() => mutatedPieces({ ...mutation, where: 'settle', from: 'redis.call', to: '' })).toThrow('not once')
  })
})
