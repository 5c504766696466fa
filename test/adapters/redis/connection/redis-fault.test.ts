/**
 * What Redis can have instead of an answer, each from a real server in that state: one word of a closed list, certain that
 * nothing was done, and nothing was.
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { expect, test } from 'vitest'

import { createRedisLedger } from '../../../../src/adapters/redis/ledger.ts'
import { mustReconnect, unavailable } from '../../../../src/adapters/redis/connection/redis-fault.ts'
import { LedgerUnavailable } from '../../../../src/domain/failures.ts'
import { asks, lifetime, take } from '../../../contract/ledger-fixtures.ts'
import { startFaultProxy } from '../../../support/fault-proxy.ts'
import { startRedis } from '../../../support/redis-server.ts'
import { until } from '../../../support/until.ts'

const NOWHERE = '1'

interface State {
  readonly fault: string
  readonly args: readonly string[]
  /** Brings the server into the state. */
  readonly arrange?: (operator: Redis) => Promise<unknown>
}

const STATES: readonly State[] = [
  { fault: 'out_of_memory', args: ['--maxmemory', '1', '--maxmemory-policy', 'noeviction'] },
  { fault: 'read_only', args: ['--replicaof', '127.0.0.1', NOWHERE] },
  { fault: 'primary_down', args: ['--replicaof', '127.0.0.1', NOWHERE, '--replica-serve-stale-data', 'no'] },
  { fault: 'no_replicas', args: ['--min-replicas-to-write', '1'] },
  { fault: 'cluster_down', args: ['--cluster-enabled', 'yes'] },
  {
    fault: 'busy',
    args: ['--busy-reply-threshold', '5'],
    arrange: async (operator) => {
      // It ends when the server does.
      void operator.eval('while true do end', 0).catch(() => undefined)
      const probe = operator.duplicate()
      await until('the server is busy', async () =>
        probe.get('x').then(
          () => undefined,
          () => true,
        ),
      )
      probe.disconnect()
    },
  },
]

test.each(STATES)('$fault: each call and the ping say so, and nothing was done', async ({ fault, args, arrange }) => {
  await using server = await startRedis({ args })
  const operator = new Redis(server.url, { enableReadyCheck: false })
  await arrange?.(operator)
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 2_000 })
  // More of them than open the breaker: a server that answers is there.
  for (let call = 0; call < 8; call += 1) {
    const failure: unknown = await ledger.reserve(asks([take(lifetime(10))])).catch((error: unknown) => error)
    expect(failure).toMatchObject({ name: 'LedgerUnavailable', fault, maybeDone: false })
  }
  await expect(ledger.ping()).rejects.toMatchObject({ name: 'LedgerUnavailable', fault })
  if (fault === 'busy') {
    const killer = operator.duplicate()
    await killer.script('KILL')
    killer.disconnect()
  }
  // A replica that serves no stale data tells no size either.
  expect(fault === 'primary_down' ? 0 : await operator.dbsize()).toBe(0)
  operator.disconnect()
})

test('cannot_persist: a server whose disk fails', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-misconf-'))
  await using server = await startRedis({ args: ['--save', '3600', '1', '--dir', dir, '--dbfilename', 'dump.rdb'] })
  const operator = new Redis(server.url)
  // No file can be moved to where a folder with something in it stands.
  await mkdir(join(dir, 'dump.rdb', 'x'), { recursive: true })
  await operator.set('x', '1')
  await operator.bgsave()
  await until('the save failed', async () =>
    (await operator.info('persistence')).includes('rdb_last_bgsave_status:err') ? true : undefined,
  )
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 2_000 })
  const refused = { fault: 'cannot_persist', maybeDone: false }
  await expect(ledger.reserve(asks([take(lifetime(10))]))).rejects.toMatchObject(refused)
  await expect(ledger.ping()).rejects.toMatchObject({ fault: 'cannot_persist' })
  operator.disconnect()
  await rm(dir, { recursive: true, force: true })
})

test('not_authorized: a wrong password is told without the password', async () => {
  await using server = await startRedis({ args: ['--requirepass', 'correct-horse'] })
  await using ledger = createRedisLedger({ url: `redis://:battery-staple@127.0.0.1:${server.port}` })
  const failure: unknown = await ledger.ping().catch((error: unknown) => error)
  expect(failure).toMatchObject({ fault: 'not_authorized', maybeDone: false })
  expect(inspect(failure, { depth: 10, showHidden: true })).not.toContain('battery-staple')
})

test('a server that became a replica is left for whoever listens at its address next', async () => {
  await using server = await startRedis()
  await using ledger = createRedisLedger({ url: server.url, commandTimeoutMs: 2_000 })
  await ledger.ping()
  const operator = new Redis(server.url)
  const clients = async () => String(await operator.call('CLIENT', 'LIST')).match(/id=\d+(?=.*tollgate)/g)?.[0]
  const before = await clients()
  expect(before).toBeDefined()
  await operator.replicaof('127.0.0.1', NOWHERE)
  await expect(ledger.ping()).rejects.toMatchObject({ fault: 'read_only' })
  await until('the ledger has connected anew', async () => {
    const now = await clients()
    return now === undefined || now === before ? undefined : now
  })
  await operator.replicaof('NO', 'ONE')
  await until('the ledger takes writes', async () =>
    ledger.ping().then(
      () => true,
      () => undefined,
    ),
  )
  operator.disconnect()
})

test('a ledger that may take its time admits everything over a slow network', async () => {
  await using server = await startRedis()
  await using proxy = await startFaultProxy(server.port)
  const url = `redis://127.0.0.1:${proxy.port}`
  await using patient = createRedisLedger({ url, commandTimeoutMs: 5_000 })
  await using hasty = createRedisLedger({ url, commandTimeoutMs: 50 })
  await patient.ping()
  await hasty.ping()
  proxy.delay(100)
  const outcomes = await Promise.all(Array.from({ length: 20 }, () => patient.reserve(asks([take(lifetime(100))]))))
  expect(outcomes).toMatchObject(outcomes.map(() => ({ kind: 'held' })))
  await expect(hasty.reserve(asks([take(lifetime(100))]))).rejects.toMatchObject({ fault: 'timeout', maybeDone: true })
})

test('the ping changes nothing', async () => {
  await using server = await startRedis()
  await using ledger = createRedisLedger({ url: server.url })
  await ledger.ping()
  const operator = new Redis(server.url)
  expect(await operator.dbsize()).toBe(0)
  operator.disconnect()
})

const reply = (message: string) => Object.assign(new Error(message), { name: 'ReplyError' })

test.each([
  ['LOADING Redis is loading the dataset in memory', 'loading'],
  [
    'ERR Error running script (call to f_ab): @user_script:9: @user_script: 9: -OOM command not allowed',
    'out_of_memory',
  ],
  ['NOPERM this user has no permissions', 'not_authorized'],
])('%s is %s', (message, fault) => {
  expect(unavailable(reply(message), { wasSent: true })).toMatchObject({ fault, maybeDone: false })
})

test.each([
  ['a reply to a command that was sent twice', reply('READONLY No.'), true, 'read_only'],
  ['an error within a script', reply('ERR wrong number of arguments'), false, 'unexpected'],
  ['a broken connection', new Error('Connection is closed.'), false, 'connection_lost'],
  ['a late answer', new LedgerUnavailable('late', { fault: 'timeout' }), false, 'timeout'],
])('%s may have been carried out', (_name, error, isResent, fault) => {
  expect(unavailable(error, { wasSent: true, isResent })).toMatchObject({ fault, maybeDone: true })
  expect(unavailable(error, { wasSent: false })).toMatchObject({ fault, maybeDone: false })
})

test('only what another server at the address may cure ends the connection', () => {
  expect(mustReconnect(reply('READONLY No.'))).toBe(true)
  expect(mustReconnect(reply('OOM No.'))).toBe(false)
})
