/** `spend`: parts that sum to the whole, and months that begin where their zone's calendar says. */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openAuditLog } from '../../src/adapters/audit-log/audit-log.ts'
import { createIds } from '../../src/adapters/system/ids.ts'
import { SPEND_DIMENSIONS } from '../../src/domain/audit/spend.ts'
import { settledIn, settledRecords } from '../support/books.ts'
import { post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'

interface Sums {
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly usd: string
  readonly nanoUsd: string
}

interface Report {
  readonly by: readonly string[]
  readonly month: string
  readonly rows: readonly (Sums & Readonly<Record<string, string>>)[]
  readonly total: Sums
  readonly open: { readonly calls: number; readonly heldUsd: string }
  readonly source: readonly { readonly log: string; readonly first: number; readonly last: number }[]
}

async function spend(dir: string, ...args: readonly string[]): Promise<Report> {
  const { code, stdout, stderr } = await runHere(['spend', '--data', dir, '--json', ...args])
  expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
  return JSON.parse(stdout)
}

describe('spend of a running gateway', () => {
  let gateway: RunningGateway

  beforeAll(async () => {
    gateway = await startGateway({ policies: policySet('') })
    const callers = [
      { team: 'red' },
      { team: 'red', agent: 'reader' },
      { team: 'blue' },
      { team: 'green', tier: 'gold' },
    ]
    for (const [index, caller] of callers.entries()) {
      const token = await gateway.token(caller)
      for (const model of ['sim-small', 'sim-large'].slice(0, 1 + (index % 2))) {
        const body = { model, max_tokens: 3 + index, messages: [{ role: 'user', content: 'Hi' }] }
        await (await post({ url: gateway.url, token, body })).arrayBuffer()
      }
    }
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
  })

  it('whatever it is cut by, the parts sum to the whole, and the whole to the log', async () => {
    const records = await settledRecords([gateway.dataDir])
    const cuts = [...SPEND_DIMENSIONS.map(String), 'team,model,agent', 'tenant,team,tier,model']
    for (const by of cuts) {
      const { rows, total, by: cutBy } = await spend(gateway.dataDir, '--by', by)
      expect(cutBy.join(',')).toBe(by)
      expect(rows.reduce((sum, row) => sum + BigInt(row.nanoUsd), 0n)).toBe(BigInt(total.nanoUsd))
      for (const member of ['calls', 'inputTokens', 'outputTokens'] as const) {
        expect(rows.reduce((sum, row) => sum + row[member], 0)).toBe(total[member])
      }
      expect(BigInt(total.nanoUsd)).toBe(settledIn(records))
      expect(total.calls).toBe(6)
    }
  })

  it('a call that has no value of a dimension is a part of its own', async () => {
    const { rows } = await spend(gateway.dataDir, '--by', 'tier')
    expect(Object.fromEntries(rows.map(({ tier, calls }) => [tier, calls]))).toEqual({ '': 4, gold: 2 })
  })

  it('names the log and the records that it was read from', async () => {
    const records = await settledRecords([gateway.dataDir])
    const { source } = await spend(gateway.dataDir)
    expect(source).toEqual([{ log: records[0]?.log, first: 0, last: records.at(-1)?.seq }])
  })

  it('as a table has a line a part and one for the whole, as a process', async () => {
    const { code, stdout } = await runCli(['spend', '--data', gateway.dataDir, '--by', 'team,model'])
    expect(code).toBe(0)
    const [title = '', header = '', ...lines] = stdout.trimEnd().split('\n')
    expect(title).toMatch(/^spend \d{4}-\d\d$/)
    expect(header).toMatch(/^team +model +calls +input tokens +output tokens +usd$/)
    expect(lines).toHaveLength(6)
    const cells = lines.map((line) => line.trim().split(/ +/))
    const whole = cells.at(-1) ?? []
    expect(whole[0]).toBe('total')
    const nano = (text = '') => BigInt(text.replace('.', ''))
    const parts = cells.slice(0, -1)
    expect(parts.reduce((sum, part) => sum + nano(part.at(-1)), 0n)).toBe(nano(whole.at(-1)))
  })
})

describe('the month of a report', () => {
  let dir: string

  /** One settled call of one nano-dollar a thousand, at each of these instants. */
  const CALLS = [
    ['2026-10-31T22:59:59.999Z', 1],
    ['2026-10-31T23:00:00.000Z', 10],
    ['2026-10-31T23:59:59.999Z', 100],
    ['2026-11-01T00:00:00.000Z', 1_000],
    ['2026-11-30T22:59:59.999Z', 10_000],
    ['2026-11-30T23:00:00.000Z', 100_000],
    ['2026-12-01T00:00:00.000Z', 1_000_000],
  ] as const

  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tollgate-months-'))
    await using log = await openAuditLog({ dir: join(dir, 'audit'), deployment: 'test', durability: 'process' })
    for (const [at, nano] of CALLS) {
      const id = createIds({ nowMs: () => Date.parse(at) }).next()
      const act = { tenant: 'acme', team: 'red' }
      await log.append({ v: 1, type: 'decision', id, act, dec: { out: 'admit' }, est: { usd: '1.000000000' } })
      const usd = { act: `0.${String(nano).padStart(9, '0')}` }
      await log.append({ v: 1, type: 'settle', id: `s-${id}`, ref: { id }, act, basis: 'provider_usage', usd, use: {} })
    }
    const open = createIds({ nowMs: () => Date.parse('2026-11-15T00:00:00Z') }).next()
    await log.append({ v: 1, type: 'decision', id: open, dec: { out: 'admit' }, est: { usd: '0.500000000' } })
  })
  afterAll(async () => {
    await rm(dir, { recursive: true, force: true })
  })

  it.each([
    ['2026-11', 'UTC', 111_000],
    ['2026-11', 'Europe/Berlin', 11_110],
    ['2026-10', 'Europe/Berlin', 1],
    ['2026-10', 'UTC', 111],
    ['2026-12', 'UTC', 1_000_000],
    ['2026-12', 'Europe/Berlin', 1_100_000],
    ['2026-10', 'America/New_York', 1_111],
    ['2026-11', 'Pacific/Auckland', 1_111],
    ['2025-11', 'UTC', 0],
  ])('%s in %s has the calls that began in it, to the millisecond', async (month, zone, nanoUsd) => {
    const { total, month: named } = await spend(dir, '--month', month, '--timezone', zone)
    expect(named).toBe(month)
    expect(total.nanoUsd).toBe(String(nanoUsd))
  })

  it('tells of calls that are open, and leaves them out of the sum', async () => {
    expect((await spend(dir, '--month', '2026-11')).open).toEqual({ calls: 1, heldUsd: '0.500000000' })
    expect((await spend(dir, '--month', '2026-10')).open.calls).toBe(0)
    const { stdout } = await runHere(['spend', '--data', dir, '--month', '2026-11'])
    expect(stdout).toContain('1 calls are open and hold up to 0.500000000 USD; they are not in the total.')
  })
})
