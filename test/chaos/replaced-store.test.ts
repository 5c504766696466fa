import { copyFile, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { startFleet } from '../support/fleet.ts'
import type { Fleet } from '../support/fleet.ts'
import { expectExact, spendAll, TOKENS } from '../support/loaded-fleet.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { startSwitchProxy } from '../support/switch-proxy.ts'
import type { SwitchProxy } from '../support/switch-proxy.ts'
import { until } from '../support/until.ts'

let dir: string
let redis: TestRedis
let other: TestRedis | undefined
let proxy: SwitchProxy
let fleet: Fleet

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tollgate-dump-'))
  redis = await startRedis({ args: ['--dir', dir, '--repl-diskless-sync-delay', '0'] })
  proxy = await startSwitchProxy(redis.port)
  fleet = await startFleet({ size: 2, tokens: TOKENS, redisUrl: `redis://127.0.0.1:${proxy.port}` })
})
afterEach(async () => {
  await fleet[Symbol.asyncDispose]()
  await proxy[Symbol.asyncDispose]()
  await redis.stop()
  await other?.stop()
  other = undefined
  await rm(dir, { recursive: true, force: true })
})

async function ask<Answer>(server: TestRedis, work: (client: Redis) => Promise<Answer>): Promise<Answer> {
  const client = new Redis(server.url)
  try {
    return await work(client)
  } finally {
    client.disconnect()
  }
}

const dump = () => ask(redis, (client) => client.save())

/** Kills the server and starts one on the data that was dumped. */
async function restoreDump(): Promise<void> {
  await copyFile(join(dir, 'dump.rdb'), join(dir, 'kept.rdb'))
  await redis.stop()
  redis = await startRedis({ port: redis.port, args: ['--dir', dir, '--dbfilename', 'kept.rdb'] })
}

/** Makes the dump look as old as a dump of more than a minute ago. */
async function ageDump(): Promise<void> {
  await using aged = await startRedis({ args: ['--dir', dir] })
  await ask(aged, async (client) => {
    for (const key of await client.keys('*}:N')) {
      for (const origin of await client.hkeys(key)) await client.hincrby(key, origin, -70_000)
    }
    await client.save()
  })
}

describe('a store that comes back in an earlier state, under load', () => {
  it('seconds old: it is told what it lacks, and the budget holds to the token', async () => {
    const seen = await spendAll(fleet, [dump, restoreDump])
    const sums = await expectExact(fleet, seen)
    expect(sums.ledger).toBe(sums.log)
  })

  it('minutes old: it is rebuilt, and the budget holds to the token', async () => {
    const agedDump = async () => {
      await dump()
      await ageDump()
    }
    const seen = await spendAll(fleet, [agedDump, restoreDump])
    const sums = await expectExact(fleet, seen)
    expect(sums.ledger).toBe(sums.log)
  })

  it('a replica that takes over without the last writes: the same', async () => {
    const replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${redis.port}`] })
    other = replica
    await until('the replica is in step', () =>
      ask(replica, async (client) =>
        (await client.info('replication')).includes('link_status:up') ? true : undefined,
      ),
    )
    // From here on its primary goes on alone.
    const detach = () => ask(replica, (client) => client.replicaof('NO', 'ONE'))
    const promote = async () => {
      proxy.switchTo(replica.port)
      await redis.stop()
    }
    const seen = await spendAll(fleet, [detach, promote])
    const sums = await expectExact(fleet, seen)
    expect(sums.ledger).toBe(sums.log)
  })
})
