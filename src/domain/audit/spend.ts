/**
 * Spend is a fold of settlements by dimensions that exclude each other, so the parts always sum to the whole.
 */
import type { AuditRecord } from './audit-record.ts'
import { startedMsOf } from '../call-id.ts'
import { addUsd, parseFormattedUsd, toNanoUsd, ZERO_USD } from '../prices/money.ts'
import type { NanoUsd } from '../prices/money.ts'
import { membersOf, textOf } from './record-members.ts'

/** Dimensions a report may be cut by. Roles and groups are not among them: a call can have several. */
export const SPEND_DIMENSIONS = [
  'tenant',
  'team',
  'agent',
  'client',
  'class',
  'tier',
  'lane',
  'model',
  'provider',
  'upstream',
] as const

export type SpendDimension = (typeof SPEND_DIMENSIONS)[number]

export interface SpendRow {
  /** One value per dimension of the report; `''` stands for calls that have none. */
  readonly values: readonly string[]
  readonly calls: number
  readonly inputTokens: number
  readonly outputTokens: number
  readonly cost: NanoUsd
  /** The part of `cost` that is estimated because the provider reported no usage. */
  readonly estimated: NanoUsd
}

export interface SpendReport {
  readonly by: readonly SpendDimension[]
  /** Most expensive first. */
  readonly rows: readonly SpendRow[]
  readonly total: Omit<SpendRow, 'values'>
  /** Calls admitted in the period and not settled yet, with the bound they hold; not part of `total`. */
  readonly open: { readonly calls: number; readonly held: NanoUsd }
}

type Sum = Omit<SpendRow, 'values'>

const EMPTY: Sum = { calls: 0, inputTokens: 0, outputTokens: 0, cost: ZERO_USD, estimated: ZERO_USD }

/** Most rows of one report: more means that a dimension is not one people can read. */
const SPEND_ROWS_MAX = 100_000

export interface SpendFold {
  /** Takes one record; records of other types and other periods are passed over. */
  add(record: AuditRecord): void
  report(): SpendReport
}

/** Starts a report over the calls that began in `[fromMs, untilMs)`: spend belongs to the time of its reservation. */
export function spendBy(by: readonly SpendDimension[], fromMs: number, untilMs: number): SpendFold {
  const rows = new Map<string, { readonly values: readonly string[]; sum: Sum }>()
  const open = new Map<string, NanoUsd>()
  let total = EMPTY
  const addSettlement = (record: AuditRecord, callId: string) => {
    open.delete(callId)
    const values = by.map((dimension) => valueOf(record, dimension))
    const key = JSON.stringify(values)
    const row = rows.get(key) ?? { values, sum: EMPTY }
    if (rows.size >= SPEND_ROWS_MAX && !rows.has(key))
      throw new RangeError(`more than ${SPEND_ROWS_MAX} rows; cut by fewer dimensions`)
    row.sum = plus(row.sum, record)
    total = plus(total, record)
    rows.set(key, row)
  }
  return {
    add(record) {
      const callId = callOf(record)
      if (callId === undefined || !within(callId, fromMs, untilMs)) return
      if (record.type === 'settle') addSettlement(record, callId)
      else open.set(callId, usd(membersOf(record['est'])['usd']))
    },
    report: () => ({
      by,
      rows: [...rows.values()].map(({ values, sum }) => ({ values, ...sum })).sort(byCost),
      total,
      open: { calls: open.size, held: [...open.values()].reduce(addUsd, ZERO_USD) },
    }),
  }
}

/** The call a record is about, when it is one that spends. */
function callOf(record: AuditRecord): string | undefined {
  // A hold whose decision was never recorded refers to none: its request is all that is known.
  if (record.type === 'settle') return textOf(membersOf(record['ref'])['id']) || textOf(membersOf(record['req'])['id'])
  return record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit' ? record.id : undefined
}

function within(callId: string, fromMs: number, untilMs: number): boolean {
  const startedMs = startedMsOf(callId)
  return startedMs >= fromMs && startedMs < untilMs
}

function valueOf(record: AuditRecord, dimension: SpendDimension): string {
  const models = membersOf(record['mdl'])
  const value =
    dimension === 'model'
      ? models['served']
      : dimension === 'provider'
        ? models['prov']
        : dimension === 'upstream'
          ? models['up']
          : membersOf(record['act'])[dimension]
  return typeof value === 'string' ? value : ''
}

function plus(sum: Sum, record: AuditRecord): Sum {
  const use = membersOf(record['use'])
  const cost = usd(membersOf(record['usd'])['act'])
  const known = record['basis'] === 'provider_usage' || record['basis'] === 'none'
  return {
    calls: sum.calls + 1,
    inputTokens: sum.inputTokens + count(use['in']),
    outputTokens: sum.outputTokens + count(use['out']),
    cost: addUsd(sum.cost, cost),
    estimated: known ? sum.estimated : addUsd(sum.estimated, cost),
  }
}

function usd(value: unknown): NanoUsd {
  const parsed = typeof value === 'string' ? parseFormattedUsd(value) : undefined
  return parsed ?? toNanoUsd(0n)
}

function count(value: unknown): number {
  return typeof value === 'number' ? value : 0
}

function byCost(left: SpendRow, right: SpendRow): number {
  return left.cost === right.cost ? 0 : left.cost > right.cost ? -1 : 1
}
