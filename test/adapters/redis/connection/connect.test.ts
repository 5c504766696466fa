/**
 * Every way to a Redis: with a password, over TLS, and through Sentinels to whichever server is the primary.
 */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { inspect } from 'node:util'

import { Redis } from 'ioredis'
import { expect, onTestFinished, test, vi } from 'vitest'

import type { RedisAccess, RedisPlace } from '../../../../src/adapters/redis/connection/connect.ts'
import { createRedisLedger } from '../../../../src/adapters/redis/ledger.ts'
import { hold, lifetime, take } from '../../../contract/ledger-fixtures.ts'
import { startSentinel } from '../../../support/redis-sentinel.ts'
import { freePort, startRedis } from '../../../support/redis-server.ts'
import { until } from '../../../support/until.ts'
import { selfSigned } from '../../destinations/self-signed.ts'

const PASSWORD = 'correct-horse-battery'

async function pings(place: RedisPlace & RedisAccess): Promise<unknown> {
  await using ledger = createRedisLedger({ commandTimeoutMs: 2_000, ...place })
  return await ledger.ping().then(
    () => 'ok',
    (error: unknown) => error,
  )
}

test('a password is given with the URL or beside it, for the default user or another', async () => {
  await using server = await startRedis({ args: ['--requirepass', PASSWORD] })
  const url = server.url
  const admin = new Redis(url, { password: PASSWORD })
  await admin.call('ACL', 'SETUSER', 'tollgate', 'on', `>${PASSWORD}`, '~*', '+@all')
  admin.disconnect()
  expect(await pings({ url, password: PASSWORD })).toBe('ok')
  expect(await pings({ url, username: 'tollgate', password: PASSWORD })).toBe('ok')
  expect(await pings({ url: `redis://tollgate:${PASSWORD}@127.0.0.1:${server.port}` })).toBe('ok')
  expect(await pings({ url })).toMatchObject({ fault: 'not_authorized' })
  const wrong = await pings({ url, password: 'wrong-horse' })
  expect(wrong).toMatchObject({ fault: 'not_authorized' })
  expect(inspect(wrong, { depth: 10, showHidden: true })).not.toContain('wrong-horse')
})

test('TLS reaches a server whose authority is trusted, and no other', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-tls-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const { key, cert } = selfSigned('127.0.0.1')
  writeFileSync(join(dir, 'key'), key)
  writeFileSync(join(dir, 'cert'), cert)
  const port = await freePort()
  const files = ['--tls-cert-file', join(dir, 'cert'), '--tls-key-file', join(dir, 'key'), '--tls-auth-clients', 'no']
  await using server = await startRedis({
    args: ['--tls-port', `${port}`, ...files, '--tls-ca-cert-file', join(dir, 'cert')],
  })
  const url = `rediss://127.0.0.1:${port}`
  expect(await pings({ url, tls: { ca: cert } })).toBe('ok')
  expect(await pings({ url: `redis://127.0.0.1:${port}`, tls: { ca: cert } })).toBe('ok')
  expect(await pings({ url })).toMatchObject({ name: 'LedgerUnavailable' })
  expect(await pings({ url, tls: {} })).toMatchObject({ name: 'LedgerUnavailable' })
  expect(await pings({ url, tls: { ca: selfSigned('127.0.0.1').cert } })).toMatchObject({ name: 'LedgerUnavailable' })
  expect(server.port).not.toBe(port)
})

test('Sentinels lead to the primary, and to the replica that took over', async () => {
  const auth = ['--requirepass', PASSWORD, '--masterauth', PASSWORD]
  await using primary = await startRedis({ args: auth })
  await using replica = await startRedis({ args: [...auth, '--replicaof', '127.0.0.1', `${primary.port}`] })
  await using sentinel = await startSentinel({ port: primary.port, password: PASSWORD })
  const watcher = new Redis(sentinel.endpoint.port)
  onTestFinished(() => watcher.disconnect())
  await until('the sentinel knows the replica', async () =>
    String(await watcher.call('SENTINEL', 'REPLICAS', sentinel.name)).includes(`${replica.port}`) ? true : undefined,
  )
  await using ledger = createRedisLedger({
    sentinels: [sentinel.endpoint],
    name: sentinel.name,
    password: PASSWORD,
    commandTimeoutMs: 500,
  })
  const budget = lifetime(10)
  await ledger.settle(await hold(ledger, [take(budget, 7)]), [7])
  const old = new Redis(primary.port, { password: PASSWORD })
  expect(await old.call('WAIT', 1, 10_000)).toBe(1)
  old.disconnect()
  await primary.stop()
  const states = await vi.waitUntil(async () => ledger.balances([budget]).catch(() => false), {
    timeout: 60_000,
    interval: 100,
  })
  expect(states).toEqual([{ limit: 10, settled: 7, held: 0 }])
  await vi.waitUntil(
    async () =>
      ledger.ping().then(
        () => true,
        () => false,
      ),
    { timeout: 60_000, interval: 100 },
  )
  expect(await hold(ledger, [take(budget, 3)])).toMatchObject({ charges: [{ amount: 3 }] })
})
