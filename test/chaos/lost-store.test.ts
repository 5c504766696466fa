import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { books, count, load, startFleet, TOKENS_BOUND_MAX, TOKENS_PER_CALL } from '../support/fleet.ts'
import type { Fleet } from '../support/fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const CALLERS = 16

/** Room for this many calls at what they really cost. */
const CALLS = 400
const TOKENS = CALLS * TOKENS_PER_CALL

let redis: TestRedis
let client: Redis
let fleet: Fleet

beforeEach(async () => {
  redis = await startRedis()
  client = new Redis(redis.url)
  fleet = await startFleet({ size: 2, tokens: TOKENS, redisUrl: redis.url })
})
afterEach(async () => {
  await fleet[Symbol.asyncDispose]()
  client.disconnect()
  await redis.stop()
})

const admits = (place: number) =>
  until('calls are decided again', async () => ((await fleet.call(place)).status === 503 ? undefined : true))

describe('a store that is flushed under load', () => {
  it('admits nobody before it has what the logs say; the budget holds to the token', async () => {
    let flushes = 0
    const seen = await load(fleet, CALLERS, (all) => {
      const admitted = count(all, 200)
      if (admitted >= 100 * (flushes + 1) && flushes < 2) {
        flushes += 1
        void client.flushall()
      }
      // Refused a few times in a row by the budget itself: it is spent.
      return all.slice(-5 * CALLERS).every(({ status }) => status === 429) && all.length > CALLS / 2
    })
    expect(flushes).toBe(2)
    expect(count(seen, 503)).toBeGreaterThan(0)
    expect(new Set(seen.filter(({ status }) => status === 503).map(({ code }) => code))).toEqual(
      new Set(['policy_unavailable']),
    )
    expect(count(seen, 200) + count(seen, 429) + count(seen, 503)).toBe(seen.length)
    const sums = await books(fleet)
    expect(sums).toEqual({ log: sums.log, ledger: sums.log, held: 0, provider: sums.log })
    expect(sums.log).toBe(count(seen, 200) * TOKENS_PER_CALL)
    expect(sums.log).toBeLessThanOrEqual(TOKENS)
    expect(sums.log).toBeGreaterThan(TOKENS - TOKENS_BOUND_MAX)
    await admits(0)
  })
})
