import { Redis } from 'ioredis'
import { afterEach, beforeEach, expect, it } from 'vitest'
import { recordsOf } from '../support/books.ts'
import { runCli } from '../support/cli.ts'
import { acquainted, books, startFleet, TOKENS_PER_CALL } from '../support/fleet.ts'
import type { Fleet } from '../support/fleet.ts'
import { TOKENS } from '../support/loaded-fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

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

async function spend(place: number, calls: number): Promise<void> {
  for (let call = 0; call < calls; call += 1) {
    await until('the call is admitted', async () => ((await fleet.call(place)).status === 200 ? true : undefined))
  }
}

/** `ledger rebuild` as the operator of the first gateway runs it. */
function rebuild(...more: readonly string[]) {
  return runCli(['ledger', 'rebuild', '--config', fleet.gateways[0]?.configFile ?? '', '--json', ...more])
}

it('a difference between ledger and logs is shown, and gone after a rebuild beside running gateways', async () => {
  await spend(0, 3)
  await spend(1, 4)
  await books(fleet)
  const logs = ['--logs', fleet.gateways[1]?.dataDir ?? '']
  expect(await rebuild('--dry-run', ...logs)).toMatchObject({ code: 0, stdout: expect.stringContaining('[]') })
  const [key = ''] = await client.keys('L:*:b:*')
  await client.hincrby(key, 's', 5)
  const shown = await rebuild('--dry-run', ...logs)
  expect(shown.code).toBe(1)
  expect(JSON.parse(shown.stdout)).toMatchObject({
    differences: [{ rule: 'purse', log: 7 * TOKENS_PER_CALL, ledger: 7 * TOKENS_PER_CALL + 5, difference: 5 }],
  })
  expect(await rebuild(...logs)).toMatchObject({ code: 0 })
  expect(await rebuild('--dry-run', ...logs)).toMatchObject({ code: 0 })
  await spend(1, 1)
})

it('the log of a gateway that does not come back can be given up, and that is on record', async () => {
  await spend(0, 3)
  await spend(1, 4)
  await books(fleet)
  const [gone] = await recordsOf(fleet.gateways[1]?.dataDir ?? '')
  const origin = gone?.log ?? ''
  await acquainted(fleet)
  await fleet.gateways[1]?.kill()
  await client.flushall()
  const waiting = await rebuild()
  expect(waiting).toMatchObject({ code: 3 })
  expect(JSON.parse(waiting.stdout)).toMatchObject({ state: 'rebuilding', waitingFor: [origin] })
  expect(await rebuild('--without', origin)).toMatchObject({ code: 0 })
  await spend(0, 1)
  const records = await recordsOf(fleet.gateways[0]?.dataDir ?? '', { types: ['ledger'] })
  expect(records).toMatchObject([{ type: 'ledger', without: [origin] }])
})

it('without a running gateway the command tells the logs of its folder itself', async () => {
  await spend(0, 3)
  await books(fleet)
  await acquainted(fleet)
  for (const gateway of fleet.gateways) await gateway.stop()
  await client.flushall()
  const first = await rebuild()
  expect(JSON.parse(first.stdout)).toMatchObject({ state: 'rebuilding' })
  await fleet.restart(1)
  expect(await rebuild()).toMatchObject({ code: 0 })
  const keys = await client.keys('L:*:b:*')
  expect(await Promise.all(keys.map((key) => client.hget(key, 's')))).toEqual([`${3 * TOKENS_PER_CALL}`])
})
