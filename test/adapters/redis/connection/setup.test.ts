/** A Redis that would forget what was spent is not used; one that might after a crash is warned of. */
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'

import { createRedisLedger } from '../../../../src/adapters/redis/ledger.ts'
import { findingsOf, parseInfo } from '../../../../src/adapters/redis/connection/setup.ts'
import { startRedis } from '../../../support/redis-server.ts'

const NO_COPY = { severity: 'warning', message: expect.stringContaining('neither an append-only file nor a replica') }

async function inspected(args: readonly string[], url = (port: number) => `redis://127.0.0.1:${port}`) {
  await using server = await startRedis({ args })
  await using ledger = createRedisLedger({ url: url(server.port) })
  return await ledger.inspect?.()
}

test('a server that keeps everything has no finding', async () => {
  expect(await inspected(['--appendonly', 'yes'])).toEqual([])
})

test('a server without a second copy of its data is warned of', async () => {
  expect(await inspected([])).toEqual([NO_COPY])
})

test('a replica is a second copy', async () => {
  await using primary = await startRedis()
  await using replica = await startRedis({ args: ['--replicaof', '127.0.0.1', `${primary.port}`] })
  const operator = new Redis(replica.url)
  while (!(await operator.info('replication')).includes('master_link_status:up'));
  await using ledger = createRedisLedger({ url: primary.url })
  expect(await ledger.inspect?.()).toEqual([])
  operator.disconnect()
})

test.each(['allkeys-lru', 'volatile-lru', 'volatile-ttl', 'allkeys-random'])('%s is an error', async (policy) => {
  expect(await inspected(['--maxmemory-policy', policy, '--appendonly', 'yes'])).toEqual([
    { severity: 'error', message: expect.stringContaining(`${policy}, so it would delete budgets`) },
  ])
})

test('a managed server that forbids CONFIG is read all the same', async () => {
  const user = ['--user', 'app', 'on', '>secret', '~*', '&*', '+@all', '-config', '-debug', '-shutdown', '-replicaof']
  const findings = await inspected([...user, '--appendonly', 'yes'], (port) => `redis://app:secret@127.0.0.1:${port}`)
  expect(findings).toEqual([])
})

test.each([
  ['6.0.20', 1],
  ['5.0.14', 1],
  ['6.2.0', 0],
  ['7.2.4', 0],
  ['10.0.1', 0],
])('Redis %s has %i findings', (version, count) => {
  const info = parseInfo(`# Server\r\nredis_version:${version}\r\nmaxmemory_policy:noeviction\r\naof_enabled:1\r\n`)
  expect(findingsOf(info)).toHaveLength(count)
})

test('a server that does not tell its policy is warned of', () => {
  const info = parseInfo('redis_version:7.2.4\naof_enabled:1\n')
  expect(findingsOf(info)).toEqual([{ severity: 'warning', message: expect.stringContaining('noeviction') }])
})
