/** `audit verify` and `audit query`, on the logs that a real gateway left: one that closed them, and one that was killed. */
import { cpSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/adapters/audit-log/audit-log.ts'
import { openIn, recordsOf, settledRecords } from '../support/books.ts'
import { openStream, post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { until } from '../support/until.ts'

const RULES = `
budgets:
  - {name: penniless, match: {agent: penniless}, key: [tenant, agent], limit: {usd: "0.000000001", period: lifetime}}
`

let root: string
let data: Readonly<Record<'closed' | 'killed', string>>

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-audit-cli-'))
  const [closed, killed] = await Promise.all([leaveLog('closed'), leaveLog('killed')])
  data = { closed, killed }
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

const chat = { model: 'sim-small', max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] }

/** Calls of two teams, two refusals and a stranger, then an end of one kind or the other. */
async function leaveLog(kind: 'closed' | 'killed'): Promise<string> {
  const slow = '{latency: 0ms, tokensPerSecond: 1, outputTokens: 60}'
  const policies = policySet(RULES, kind === 'killed' ? slow : undefined)
  await using gateway = await startGateway({ policies })
  const ask = async (caller: object, body: object = { ...chat, max_tokens: 1 }) => {
    const response = await post({ url: gateway.url, token: await gateway.token(caller), body })
    await response.arrayBuffer()
  }
  await ask({ team: 'red' })
  await ask({ team: 'red', user: 'bob' })
  await ask({ team: 'blue', agent: 'reader' })
  await ask({ team: 'blue', agent: 'penniless' })
  await ask({ tenant: 'other' }, { ...chat, model: 'invented' })
  await (await post({ url: gateway.url, token: 'nonsense', body: chat })).arrayBuffer()
  await settledRecords([gateway.dataDir])
  if (kind === 'closed') await gateway.stop()
  else await killMidway(gateway)
  const copy = join(root, kind)
  cpSync(gateway.dataDir, copy, { recursive: true })
  return copy
}

/** Killed while a stream is open, after a checkpoint over its decision. */
async function killMidway(gateway: RunningGateway): Promise<void> {
  const stream = await openStream({
    url: gateway.url,
    token: await gateway.token({ team: 'red' }),
    body: { ...chat, max_tokens: 60, stream: true },
  })
  await stream.seen(1)
  const { length } = await recordsOf(gateway.dataDir)
  await until('a checkpoint covers everything', async () => signedSize(gateway.dataDir) >= length || undefined)
  await gateway.kill()
  await stream.ended
}

function logOf(dir: string): string {
  const [name = ''] = readdirSync(join(dir, 'audit'))
  return join(dir, 'audit', name)
}

function signedSize(dir: string): number {
  return Number(readFileSync(join(logOf(dir), 'checkpoint'), 'utf8').split('\n')[1])
}

function segmentOf(dir: string): string {
  const folder = join(logOf(dir), 'seg')
  const name = readdirSync(folder).find((entry) => entry.endsWith('.jsonl')) ?? ''
  return join(folder, name)
}

/** A copy of a log with other lines. */
function edited(kind: 'closed' | 'killed', edit: (lines: readonly string[]) => readonly string[]): string {
  const copy = join(root, `edited-${readdirSync(root).length}`)
  cpSync(data[kind], copy, { recursive: true })
  const segment = segmentOf(copy)
  const lines = readFileSync(segment, 'utf8').split('\n').slice(0, -1)
  writeFileSync(
    segment,
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
  return copy
}

const verify = (dir: string, ...more: readonly string[]) => runHere(['audit', 'verify', '--data', dir, ...more])

/** One byte of a value, so that the line is still a record. */
const changed = (line = '') => line.replace('"type":"', '"typf":"')
const otherTeam = (line = '') => line.replace('"team":"red"', '"team":"rad"')

const first = (lines: readonly string[], word: string) => lines.findIndex((line) => line.includes(word))

describe.each(['closed', 'killed'] as const)('audit verify of a log that its gateway has %s', (kind) => {
  it('is ok, in a process of its own', async () => {
    const { code, stdout } = await runCli(['audit', 'verify', '--data', data[kind]])
    expect(stdout).toMatch(/audit verify: ok \(1 log, \d+ records; key taken from the folder itself, pass --key/)
    expect(code).toBe(0)
  })

  it('believes a key from elsewhere, and not one of another log', async () => {
    const own = JSON.parse(readFileSync(join(logOf(data[kind]), 'log.json'), 'utf8')) as { vkey: string }
    expect(await verify(data[kind], '--key', own.vkey)).toMatchObject({
      code: 0,
      stdout: expect.stringMatching(/records\)$/m),
    })
    const other = kind === 'closed' ? 'killed' : 'closed'
    const foreign = JSON.parse(readFileSync(join(logOf(data[other]), 'log.json'), 'utf8')) as { vkey: string }
    expect((await verify(data[kind], '--key', foreign.vkey)).code).not.toBe(0)
  })

  it.each<
    readonly [string, (lines: readonly string[]) => readonly string[], (lines: readonly string[]) => readonly string[]]
  >([
    [
      'one byte of a value is changed',
      (lines) => lines.with(first(lines, '"team":"red"'), otherTeam(lines[first(lines, '"team":"red"')])),
      (lines) => [`ALTERED seq=${first(lines, '"team":"red"')}`],
    ],
    ['one byte of a name is changed', (lines) => lines.with(4, changed(lines[4])), () => ['CORRUPT_LINE seq=4']],
    ['one line is removed', (lines) => lines.toSpliced(5, 1), () => ['MISSING from=5 to=5']],
    [
      'two lines are swapped',
      (lines) => lines.with(3, lines[7] ?? '').with(7, lines[3] ?? ''),
      () => ['REORDERED seq=3', 'REORDERED seq=7'],
    ],
    [
      'the tail is cut below the last checkpoint',
      (lines) => lines.slice(0, 6),
      () => [`TRUNCATED have=6 signed=${signedSize(data[kind])}`],
    ],
    ['the last signed line is cut', (lines) => lines.slice(0, signedSize(data[kind]) - 1), () => ['TRUNCATED']],
  ])('exits 4 and names the record when %s', async (_, edit, names) => {
    const lines = readFileSync(segmentOf(data[kind]), 'utf8').split('\n').slice(0, -1)
    const dir = edited(kind, edit)
    const { code, stdout } = await verify(dir)
    expect(code).toBe(4)
    for (const name of names(lines)) expect(stdout).toContain(`: tampered: ${name}`)
    expect(stdout).toContain('audit verify: TAMPERED')
    const asJson = await verify(dir, '--json')
    expect(asJson.code).toBe(4)
    expect(JSON.parse(asJson.stdout)).toMatchObject({ ok: false, logs: [{ verdict: 'tampered' }] })
  })
})

describe('audit verify', () => {
  it('exits 4 as a process, too', async () => {
    const { code, stdout, stderr } = await runCli([
      'audit',
      'verify',
      '--data',
      edited('closed', (lines) => lines.slice(0, 4)),
    ])
    expect({ code, stderr }).toEqual({ code: 4, stderr: '' })
    expect(stdout).toContain('TRUNCATED')
  })

  it('of a log from which all is gone exits 4', async () => {
    expect((await verify(edited('closed', () => []))).code).toBe(4)
  })

  it.each<readonly [string, (dir: string) => void, string]>([
    ['the folder of a log is gone', (dir) => rmSync(logOf(dir), { recursive: true }), 'LOG_MISSING log=log-'],
    ['the description of a log is gone', (dir) => rmSync(join(logOf(dir), 'log.json')), 'LOG_MISSING log=log-'],
    ['all logs are gone', (dir) => rmSync(join(dir, 'audit'), { recursive: true }), 'LOG_MISSING log=log-'],
    [
      'the description is no description',
      (dir) => writeFileSync(join(logOf(dir), 'log.json'), '{}'),
      'UNKNOWN_KEY file=log.json',
    ],
  ])('exits 4 when %s, and names the log', async (_, damage, finding) => {
    const dir = edited('closed', (lines) => lines)
    const name = basename(logOf(dir))
    damage(dir)
    const { code, stdout } = await verify(dir)
    expect(code).toBe(4)
    expect(stdout).toContain(`${name}: tampered: ${finding}`)
    expect(stdout).toContain('audit verify: TAMPERED')
  })

  it('exits 4 when the folder of a log was put back as it was earlier', async () => {
    const dir = edited('closed', (lines) => lines)
    const [name, log] = [basename(logOf(dir)), logOf(dir)]
    const older = join(root, `older-${name}`)
    cpSync(log, older, { recursive: true })
    const size = signedSize(dir)
    await using later = await openAuditLog({ dir: join(dir, 'audit'), deployment: 'gw.test', durability: 'disk' })
    expect(later.name).toBe(name)
    await later[Symbol.asyncDispose]()
    rmSync(log, { recursive: true })
    cpSync(older, log, { recursive: true })
    const { code, stdout } = await verify(dir)
    expect(code).toBe(4)
    expect(stdout).toContain(`/${name}: tampered: ROLLED_BACK have=${size} signed=${size + 2}`)
  })

  it('of a folder without a log says so, and that is no success', async () => {
    const dir = await mkdtemp(join(root, 'empty-'))
    expect((await verify(dir)).code).toBe(2)
    mkdirSync(join(dir, 'audit'))
    const { code, stdout } = await verify(dir)
    expect(code).toBe(1)
    expect(stdout).toContain('nothing to verify')
  })

  it('of a killed log says which call is open, without alarm while its hold may live', async () => {
    const [open] = openIn(await recordsOf(data.killed))
    const { code, stdout } = await verify(data.killed)
    expect(stdout).toContain(`note: OPEN_RESERVATION id=${open}`)
    expect(code).toBe(0)
  })

  it('--json gives the size, the root and whose key it believed', async () => {
    const { stdout } = await verify(data.closed, '--json')
    expect(JSON.parse(stdout)).toMatchObject({
      schemaVersion: 1,
      ok: true,
      logs: [{ verdict: 'ok', size: signedSize(data.closed), signed: signedSize(data.closed), keyFrom: 'log.json' }],
    })
  })
})

describe('audit query', () => {
  const query = async (...args: readonly string[]) => {
    const { code, stdout } = await runHere(['audit', 'query', '--data', data.closed, '--json', ...args])
    expect(code).toBe(0)
    const lines = stdout.split('\n').filter((line) => line !== '')
    return lines.map((line): { type: string; id: string; t: string; dec?: { code?: string } } => JSON.parse(line))
  }
  const types = async (...args: readonly string[]) => (await query(...args)).map(({ type }) => type)

  it.each<readonly [string, readonly string[], readonly string[]]>([
    ['--outcome', ['--outcome', 'refuse'], ['decision', 'decision', 'auth_failed']],
    ['--outcome and --type', ['--outcome', 'refuse', '--type', 'auth_failed'], ['auth_failed']],
    ['--code', ['--code', 'model_not_found'], ['decision']],
    ['--code never_fits', ['--code', 'never_fits'], ['decision']],
    ['--tenant', ['--tenant', 'other'], ['decision']],
    ['--team', ['--team', 'red'], ['decision', 'settle', 'decision', 'settle']],
    ['--agent', ['--agent', 'reader'], ['decision', 'settle']],
    ['--user', ['--tenant', 'acme', '--user', 'bob'], ['decision', 'settle']],
    ['--user of another tenant', ['--tenant', 'other', '--user', 'bob'], []],
    ['--limit', ['--type', 'settle', '--limit', '2'], ['settle', 'settle']],
    ['--until', ['--until', '2020-01-01'], []],
    ['--since', ['--since', '2999-01-01'], []],
  ])('%s: only what passes', async (_, args, expected) => {
    expect((await types(...args)).toSorted()).toEqual(expected.toSorted())
  })

  it('--id finds a decision and its settlement', async () => {
    const [settled] = await query('--type', 'decision', '--outcome', 'admit')
    expect(await types('--id', settled?.id ?? '')).toEqual(['decision', 'settle'])
  })

  it('--since is inclusive, --until exclusive', async () => {
    const all = await query()
    const at = all[4]?.t ?? ''
    const [from, before] = await Promise.all([query('--since', at), query('--until', at)])
    expect(from.length + before.length).toBe(all.length)
    expect(from[0]?.t).toBe(at)
  })

  it('without --json is a table of those records, with the count on stderr', async () => {
    const { stdout, stderr } = await runCli(['audit', 'query', '--data', data.closed, '--outcome', 'refuse'])
    const [header = '', ...rows] = stdout.trimEnd().split('\n')
    expect(header).toMatch(/^time +type +outcome +code +tenant +team +agent +model +usd +id$/)
    expect(rows).toHaveLength(3)
    expect(stderr).toBe('3 records\n')
  })

  it.each([
    ['--type', 'nonsense'],
    ['--since', 'yesterday'],
    ['--limit', '0'],
    ['--user', 'bob'],
  ])('%s %s is wrong use', async (option, value) => {
    const { code, stdout, stderr } = await runHere(['audit', 'query', '--data', data.closed, option, value])
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain(option)
  })
})
