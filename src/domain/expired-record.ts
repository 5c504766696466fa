/**
 * The record of a hold that expired and whose decision is not on record: its process died, or could not write, between the
 * reservation and the record. The ledger charged it in full, because the call may have been sent, and this record says so.
 * Nothing is known of the call but its id and what was held for it.
 */
import type { RecordDraft, RecordValue } from './audit-record.ts'
import type { Charge } from './accumulator.ts'
import { callOf } from './call-id.ts'
import { formatUsd, toNanoUsd } from './money.ts'
import type { Policy, Unit } from './policy.ts'
import { writeAmount } from './record-texts.ts'
import type { Hold } from './reservation.ts'

export function expiredRecord(hold: Hold, id: string, policy: Pick<Policy, 'limits' | 'budgets'>): RecordDraft {
  const charges = hold.charges.map((charge) => ({ charge, counted: countedBy(charge, policy) }))
  const dollars = charges.filter(({ counted }) => counted.unit === 'usd').map(({ charge }) => charge.amount)
  // Every budget in dollars holds the bound of the same call; weights can only have raised it.
  const bound = formatUsd(toNanoUsd(BigInt(Math.max(0, ...dollars))))
  return {
    v: 1,
    type: 'settle',
    id,
    req: { id: callOf(hold.id) },
    rsv: hold.id,
    out: 'expired',
    basis: 'hold_without_decision',
    usd: { est: bound, act: bound, delta: formatUsd(toNanoUsd(0n)) },
    lines: [],
    bkt: charges.map(({ charge, counted }) => bucket(charge, counted)),
  }
}

interface Counted {
  readonly rule: string
  /** Undefined when the rule is no longer in force: then amounts are whole numbers of what it counted. */
  readonly unit: Unit | undefined
}

/** An accumulator's key begins with the id of its rule. */
function countedBy({ accumulator: { key } }: Charge, { limits, budgets }: Pick<Policy, 'limits' | 'budgets'>): Counted {
  const [ruleId = ''] = key.split(':', 1)
  const rule = [...limits, ...budgets].find(({ id }) => id === ruleId)
  return { rule: rule?.name ?? ruleId, unit: rule?.unit }
}

function bucket({ accumulator: { key, shape }, amount }: Charge, { rule, unit }: Counted): RecordValue {
  const value = unit === undefined ? amount : writeAmount(unit, amount)
  const end = shape.kind === 'budget' ? shape.window?.endMs : undefined
  return { id: key, rule, kind: shape.kind, unit, held: value, act: value, end }
}
