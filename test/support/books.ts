/**
 * The three places where spend can be read: the log, the ledger as a caller sees it, and the spend report.
 */
import { queryRecords } from '../../src/adapters/audit-log/query.ts'
import type { RecordFilter } from '../../src/adapters/audit-log/query.ts'
import type { AuditRecord } from '../../src/domain/audit/audit-record.ts'
import { parseFormattedUsd } from '../../src/domain/prices/money.ts'
import { membersOf, textOf } from '../../src/domain/audit/record-members.ts'
import { runCli } from './cli.ts'
import { until } from './until.ts'

export async function recordsOf(dataDir: string, filter: RecordFilter = {}): Promise<readonly AuditRecord[]> {
  return Array.fromAsync(queryRecords(dataDir, filter))
}

/** Decimal dollars, as records and answers write them, as nano-dollars. */
export function nano(text: unknown): bigint {
  const parsed = typeof text === 'string' ? parseFormattedUsd(text) : undefined
  if (parsed === undefined) throw new Error(`not an amount of dollars: ${String(text)}`)
  return parsed
}

/** What the settlements of a log sum to. */
export function settledIn(records: readonly AuditRecord[]): bigint {
  return records
    .filter((record) => record.type === 'settle')
    .reduce((sum, record) => sum + nano(membersOf(record['usd'])['act']), 0n)
}

/** Waits until each of these gateways has written a settlement for every call it admitted; answers all records. */
export async function settledRecords(dataDirs: readonly string[], filter: RecordFilter = {}) {
  return until('every admitted call is settled', async () => {
    const records = (await Promise.all(dataDirs.map((dir) => recordsOf(dir, filter)))).flat()
    return openIn(records).length === 0 ? records : undefined
  })
}

/** Ids of admitted calls without a settlement. */
export function openIn(records: readonly AuditRecord[]): readonly string[] {
  const settled = new Set(
    records.filter((record) => record.type === 'settle').map((record) => textOf(membersOf(record['ref'])['id'])),
  )
  return records.filter(isAdmitted).flatMap((record) => (settled.has(record.id) ? [] : [record.id]))
}

export function isAdmitted(record: AuditRecord): boolean {
  return record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit'
}

/** One row of `/v1/limits`. */
export interface Standing {
  readonly rule: string
  readonly unit: string
  readonly limit: string | number
  readonly used: string | number
  readonly held: string | number
  readonly remaining: string | number
  readonly window: { readonly seconds: number; readonly amount: string | number } | null
  readonly resets_at: string | null
}

/** What the ledger says of the rule that counts this caller. */
export async function standingOf(url: string, token: string, rule: string): Promise<Standing> {
  // A ledger that is late once, on a machine under load, is asked again.
  const response = await until('the limits are told', async () => {
    const answer = await fetch(`${url}/v1/limits`, { headers: { authorization: `Bearer ${token}` } })
    return answer.status === 503 ? undefined : answer
  })
  // The shape is the route's own; the tests of routes hold it.
  const { data } = (await response.json()) as { readonly data: readonly Standing[] }
  const found = data.find((standing) => standing.rule === rule)
  if (found === undefined) throw new Error(`no standing for ${rule} in ${JSON.stringify(data)}`)
  return found
}

export interface Spend {
  readonly total: { readonly nanoUsd: string; readonly calls: number }
  readonly rows: readonly { readonly agent: string; readonly nanoUsd: string; readonly calls: number }[]
  readonly open: { readonly calls: number }
}

/** `spend --json`, by agent. */
export async function spendOf(dataDir: string): Promise<Spend> {
  const { code, stdout, stderr } = await runCli(['spend', '--data', dataDir, '--by', 'agent', '--json'])
  if (code !== 0) throw new Error(`spend ended with ${code}: ${stderr}`)
  // The shape is the command's own; the tests of the command line hold it.
  return JSON.parse(stdout) as Spend
}
