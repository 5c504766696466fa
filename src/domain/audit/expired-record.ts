/**
 * The record of a hold that expired and whose decision is not on record: its process died, or could not write, between the
 * reservation and the record. The ledger charged it in full, because the call may have been sent, and this record says so.
 * Nothing is known of the call but its id and what was held for it.
 */
import type { RecordDraft, RecordValue } from './audit-record.ts'
import type { Charge } from '../ledger/accumulator.ts'
import { callOf } from '../call-id.ts'
import { formatUsd, toNanoUsd } from '../prices/money.ts'
import type { Policy, Unit } from '../policy/policy.ts'
import { writeAmount } from './record-texts.ts'
import { beganMs } from '../ledger/reservation.ts'
import type { Hold } from '../ledger/reservation.ts'

type Rules = Pick<Policy, 'limits' | 'budgets' | 'runs'>

export function expiredRecord(hold: Hold, id: string, policy: Rules): RecordDraft {
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
    bkt: charges.map(({ charge, counted }, index) => bucket(charge, counted, beganMs(hold, index))),
  }
}

interface Counted {
  readonly rule: string
  /** Undefined when the rule is no longer in force: then amounts are whole numbers of what it counted. */
  readonly unit: Unit | undefined
}

/** An accumulator's key begins with the id of its rule. */
function countedBy({ accumulator: { key } }: Charge, { limits, budgets, runs }: Rules): Counted {
  const [ruleId = ''] = key.split(':', 1)
  const rule = [...limits, ...budgets, ...runs].find(({ id }) => id === ruleId)
  return { rule: rule?.name ?? ruleId, unit: rule?.unit }
}

function bucket(charge: Charge, { rule, unit }: Counted, began: number): RecordValue {
  const { accumulator, amount } = charge
  const { key, shape, limit } = accumulator
  const value = unit === undefined ? amount : writeAmount(unit, amount)
  const common = { id: key, rule, kind: shape.kind, unit, held: value, act: value }
  if (shape.kind === 'span') return { ...common, end: began + limit, from: began, kept: shape.keptMs }
  return shape.kind === 'budget' ? { ...common, end: shape.window?.endMs, kept: shape.keptMs } : common
}
