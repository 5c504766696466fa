import { describe, expect, it } from 'vitest'
import { ensureRedis } from './redis.ts'
import type { Command } from './runner.ts'

/** A machine on which the commands of `there` exist; installing puts redis-server among them when apt works. */
function machine(there: readonly string[]) {
  const commands = new Set(there)
  const seen: string[] = []
  const run = async ({ command, args }: Command) => {
    const line = [command, ...args].join(' ')
    seen.push(line)
    if (!commands.has(command) && command !== 'env') return 127
    if (line.includes('install') && line.includes('apt-get')) commands.add('redis-server')
    return 0
  }
  return { run, seen }
}

describe('finding redis-server', () => {
  it('installs nothing where it is on the PATH', async () => {
    const { run, seen } = machine(['redis-server', 'apt-get', 'sudo'])
    expect(await ensureRedis(run)).toBeUndefined()
    expect(seen).toEqual(['redis-server --version'])
  })

  it('installs it where apt-get may be used', async () => {
    const { run, seen } = machine(['apt-get', 'sudo'])
    expect(await ensureRedis(run)).toBeUndefined()
    expect(seen.at(-2)).toMatch(/apt-get --quiet --yes install --no-install-recommends redis-server$/)
  })

  it('says what to install where apt-get is not there', async () => {
    expect(await ensureRedis(machine(['sudo']).run)).toMatch(/brew install redis/)
  })
})
