/**
 * What a decision that a node made on its own took of budgets, in its record: the ledger did not hear of it, so a process
 * that dies before it does leaves the record alone to say it. Rates and places start anew and are left out.
 */
import type { AuditRecord, RecordValue } from '../audit/audit-record.ts'
import type { AccumulatorShape, Charge } from './accumulator.ts'
import { listOf, membersOf, textOf } from '../audit/record-members.ts'
import { isLocal } from './reservation.ts'
import type { Hold } from './reservation.ts'

/** Undefined for a decision of the ledger. */
export function writeLocalPlan({ id, charges }: Hold): RecordValue | undefined {
  return isLocal(id) ? charges.flatMap(planned) : undefined
}

function planned({ accumulator, amount }: Charge): readonly RecordValue[] {
  const { key, shard, limit, limitVersion, shape } = accumulator
  if (shape.kind !== 'budget') return []
  const { window, keptMs } = shape
  return [
    {
      end: window?.endMs,
      from: window?.startMs,
      id: key,
      kept: keptMs,
      lim: limit,
      need: amount,
      shard,
      ver: limitVersion,
    },
  ]
}

/** The hold of a decision that a node made on its own; undefined for any other record. */
export function readLocalHold(record: AuditRecord): Hold | undefined {
  const id = textOf(record['rsv'])
  if (record.type !== 'decision' || !isLocal(id)) return undefined
  const charges = listOf(record['loc']).map(toCharge)
  return { id, charges, atUs: Date.parse(record.t) * 1_000, marks: charges.map(() => 0), owner: record.log }
}

/** What is no plan is refused by the ledger, which checks every charge. */
function toCharge(entry: RecordValue): Charge {
  const { end, from, id, kept, lim, need, shard, ver } = membersOf(entry)
  const window = typeof end === 'number' ? { startMs: Number(from), endMs: end } : null
  const shape: AccumulatorShape = { kind: 'budget', window, ...(typeof kept === 'number' && { keptMs: kept }) }
  const accumulator = { key: textOf(id), shard: Number(shard), shape, limit: Number(lim), limitVersion: Number(ver) }
  return { accumulator, amount: Number(need) }
}
