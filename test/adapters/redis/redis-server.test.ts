import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { expect, test, vi } from 'vitest'

import { startRedis } from '../../support/redis-server.ts'

const STARTER = `
  import { startRedis } from ${JSON.stringify(new URL('../../support/redis-server.ts', import.meta.url).href)}
  console.log((await startRedis()).pid)
`

test('a test that is killed leaves no server behind', async () => {
  const starter = spawn(process.execPath, ['--input-type=module', '-e', STARTER], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const [line]: unknown[] = await once(createInterface(starter.stdout), 'line')
  const pid = Number(line)
  expect(isAlive(pid)).toBe(true)
  starter.kill('SIGKILL')
  await vi.waitUntil(() => !isAlive(pid), { timeout: 10_000 })
})

test('a stopped server is gone, however often it is stopped', async () => {
  const server = await startRedis()

  expect(isAlive(server.pid)).toBe(true)
  await server.stop()
  await server.stop()
  expect(isAlive(server.pid)).toBe(false)
})

test('without redis-server on PATH the error says what to install', async () => {
  vi.stubEnv('PATH', '/nowhere')
  await expect(startRedis()).rejects.toThrow('apt-get install redis-server')
  vi.unstubAllEnvs()
})

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0)
  } catch {
    return false
  }
}
