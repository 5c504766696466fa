/** How every command ends when it is used wrongly: an exit code that scripts can rely on, and a sentence on stderr. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'

const before = process.cwd()
let cwd: string

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tollgate-usage-'))
  await writeFile(join(cwd, 'broken.yaml'), 'listen: {port: many}\nlegder: {}\n')
  await writeFile(join(cwd, 'redis.yaml'), 'ledger: {kind: redis}\n')
  process.chdir(cwd)
})
afterAll(async () => {
  process.chdir(before)
  await rm(cwd, { recursive: true, force: true })
})

type Env = Readonly<Record<string, string>>

/** Arguments, the words that stderr must have, and what else is set. */
const WRONG: readonly (readonly [string, string, Env?])[] = [
  ['', 'Usage: tollgate'],
  ['frobnicate', "unknown command 'frobnicate'"],
  ['serve --frobnicate', "unknown option '--frobnicate'"],
  ['serve --port', 'argument missing'],
  ['serve --port 80a', '--port or PORT: 80a'],
  ['serve', 'PORT: x1', { PORT: 'x1' }],
  ['serve --host 0.0.0.0', 'loopback only'],
  ['serve --config nowhere.yaml', 'nowhere.yaml: cannot be read'],
  ['serve --config broken.yaml', 'listen.port'],
  ['serve --config redis.yaml', 'REDIS_URL', { REDIS_URL: '' }],
  ['serve', 'TOLLGATE_PORT', { TOLLGATE_PORT: '80' }],
  ['serve', 'TOLLGATE_LOG_LEVEL: loud', { TOLLGATE_LOG_LEVEL: 'loud' }],
  ['check --config broken.yaml', 'legder'],
  ['token', 'Usage: tollgate token'],
  ['token issue --agent a --ttl soon', '--ttl soon'],
  ['token issue --agent a --ttl 99d', 'ttlSeconds'],
  ['token issue', 'a token needs a user'],
  ['token issue --agent a --claim b', '--claim b'],
  ['token issue --agent a --claim sub=eve', 'claims.sub'],
  ['token inspect', "missing required argument 'token'"],
  ['token inspect abc', 'not a JWT'],
  ['audit', 'Usage: tollgate audit'],
  ['audit verify --data nowhere', 'nowhere/audit: no such folder'],
  ['audit verify --key mine', '--key'],
  ['audit query --data nowhere', 'nowhere/audit: no such folder'],
  ['spend --by colour', '--by colour: one of tenant'],
  ['spend --month 2026-13', '--month 2026-13'],
  ['spend --timezone Mars/Olympus', '--timezone Mars/Olympus'],
  ['spend --data nowhere', 'nowhere/audit: no such folder'],
  ['ledger show --data nowhere', 'nowhere/audit: no such folder'],
]

const words = (line: string) => line.split(' ').filter((word) => word !== '')

describe('a command that is used wrongly', () => {
  it.each(WRONG.map(([line, says, env = {}]) => ({ line, says, env })))(
    '$line: ends with 2, says on stderr what is wrong, and writes no data',
    async ({ line, says, env }) => {
      onTestFinished(() => void vi.unstubAllEnvs())
      for (const [name, value] of Object.entries(env)) vi.stubEnv(name, value)
      const { code, stdout, stderr } = await runHere(words(line))
      expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
      expect(stderr).toContain(says)
      expect(stderr).not.toMatch(/\n\s+at /)
    },
  )

  it('ends the process with that code, and keeps stdout empty', async () => {
    const { code, stdout, stderr } = await runCli(['serve', '--host', '0.0.0.0'], { cwd })
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('loopback only')
  })
})

describe('help', () => {
  it.each(['help', '--help', 'serve --help', 'audit verify --help', 'token help', '--version'])(
    '%s: ends with 0 and is data',
    async (line) => {
      const { code, stdout, stderr } = await runHere(words(line))
      expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
      expect(stdout).toMatch(line === '--version' ? /^\d+\.\d+\.\d+\n$/ : /^Usage: tollgate/)
    },
  )
})
