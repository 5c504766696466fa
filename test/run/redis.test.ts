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
    expect(await ensureRedis(run, true)).toBeUndefined()
    expect(seen).toEqual(['redis-server --version'])
  })

  it('installs it by apt-get as root', async () => {
    const { run, seen } = machine(['apt-get'])
    expect(await ensureRedis(run, true)).toBeUndefined()
    expect(seen.at(-2)).toMatch(/^env .*apt-get --quiet --yes install --no-install-recommends redis-server$/)
  })

  it('installs it by apt-get where sudo asks for no password', async () => {
    const { run, seen } = machine(['apt-get', 'sudo'])
    expect(await ensureRedis(run, false)).toBeUndefined()
    expect(seen.at(-2)).toMatch(/^sudo -n env .*apt-get --quiet --yes install --no-install-recommends redis-server$/)
  })

  it.each([
    ['apt-get is not there', [], true],
    ['apt-get may not be used', ['apt-get'], false],
  ])('says what to install, and installs nothing, where %s', async (_, there, isRoot) => {
    const { run, seen } = machine(there)
    expect(await ensureRedis(run, isRoot)).toMatch(/brew install redis/)
    expect(seen.filter((line) => line.includes('install'))).toEqual([])
  })
})
