/**
 * The parts of a record that are the same in every call of a caller, written once: who it is, and of each bucket all but
 * its numbers. Together they are three quarters of a record, and every call has two.
 */
import type { Accumulator, AccumulatorShape, AccumulatorState } from '../ledger/accumulator.ts'
import { canonicalJson, CanonicalText } from './canonical-json.ts'
import type { PlannedCharge } from '../ledger/charges.ts'
import type { Identity } from '../identity.ts'
import { formatAmount } from '../prices/money.ts'
import type { Unit } from '../policy/policy.ts'
import type { RecordValue } from './audit-record.ts'
import { beganMs } from '../ledger/reservation.ts'
import type { Hold } from '../ledger/reservation.ts'

interface ActorText {
  readonly pseudonym: string | undefined
  readonly text: CanonicalText
}

/** Owned by this file; an entry goes with its identity. A pure function of identity and pseudonym, which never change. */
const actors = new WeakMap<Identity, ActorText>()

/** `write` gives the members of an actor that was not met before. */
export function actorText(identity: Identity, pseudonym: string | undefined, write: () => RecordValue): CanonicalText {
  const known = actors.get(identity)
  if (known !== undefined && known.pseudonym === pseudonym) return known.text
  const text = new CanonicalText(canonicalJson(write(), 'record.act'))
  actors.set(identity, { pseudonym, text })
  return text
}

/** What a decision did to each accumulator: `need` was wanted of it, `lim`, `used` and `held` were read before. */
export function decidedBuckets(
  charges: readonly PlannedCharge[],
  states: readonly AccumulatorState[] | undefined,
  hold?: Hold,
): CanonicalText {
  const texts = charges.map((charge, index) => decidedBucket(charge, states?.[index], spanText(charge, hold, index)))
  return new CanonicalText(`[${texts.join(',')}]`)
}

function decidedBucket(charge: PlannedCharge, state: AccumulatorState | undefined, span: string): string {
  const { amount, unit } = charge
  const fixed = fixedTexts(charge)
  const { name, rule } = fixed
  const end = `${fixed.end}${span}`
  const need = amountText(unit, amount)
  if (state === undefined) return `{${end}${name},"need":${need},${rule}}`
  const { limit, settled, held } = state
  const [lim, used] = [amountText(unit, limit), amountText(unit, settled)]
  const ok = settled + held + amount <= limit
  return `{${end}"held":${amountText(unit, held)},${name},"lim":${lim},"need":${need},"ok":${ok},${rule},"used":${used}}`
}

/** What each charge became: `held` was reserved, `act` is what it really was. */
export function settledBuckets(
  charges: readonly PlannedCharge[],
  amounts: readonly number[],
  hold?: Hold,
): CanonicalText {
  const texts = charges.map((charge, index) => {
    const { end: fixedEnd, name, rule } = fixedTexts(charge)
    const end = `${fixedEnd}${spanText(charge, hold, index)}`
    const actual = amountText(charge.unit, amounts[index] ?? charge.amount)
    return `{"act":${actual},${end}"held":${amountText(charge.unit, charge.amount)},${name},${rule}}`
  })
  return new CanonicalText(`[${texts.join(',')}]`)
}

/** When a span ends and when it began, by the hold that is on it: a restarted process goes on from there. */
function spanText({ accumulator: { shape, limit } }: PlannedCharge, hold: Hold | undefined, index: number): string {
  if (shape.kind !== 'span' || hold === undefined) return ''
  const began = beganMs(hold, index)
  return `"end":${began + limit},"from":${began},`
}

/** An amount as its unit is written: dollars with nine decimals, everything else as an integer. */
export function writeAmount(unit: Unit, amount: number): string | number {
  return unit === 'usd' ? formatAmount(Math.trunc(amount)) : Math.trunc(amount)
}

function amountText(unit: Unit, amount: number): string {
  const whole = Math.trunc(amount)
  if (unit === 'usd') return `"${formatAmount(whole)}"`
  return Number.isSafeInteger(whole) ? whole.toString() : canonicalJson(whole, 'record.bkt')
}

/** A bucket's members that no call changes, in groups that numbers stand between. */
interface FixedTexts {
  readonly charge: Pick<PlannedCharge, 'rule' | 'unit'>
  /** Epoch milliseconds at which the charged window ends: a restarted process skips windows that are over. */
  readonly end: string
  readonly name: string
  readonly rule: string
}

/** Owned by this file; an entry goes with its accumulator, which a caller's charges share while its window lasts. */
const fixed = new WeakMap<Accumulator, FixedTexts>()

function fixedTexts(charge: PlannedCharge): FixedTexts {
  const { accumulator, rule, unit } = charge
  const known = fixed.get(accumulator)
  if (known !== undefined && known.charge.rule === rule && known.charge.unit === unit) return known
  const { key, shape } = accumulator
  const texts = {
    charge: { rule, unit },
    end: shape.kind === 'budget' && shape.window !== null ? `"end":${canonicalJson(shape.window.endMs)},` : '',
    name: `"id":${canonicalJson(key)},${keptText(shape)}"kind":${canonicalJson(shape.kind)}`,
    rule: `"rule":${canonicalJson(rule)},"unit":${canonicalJson(unit)}`,
  }
  fixed.set(accumulator, texts)
  return texts
}

/** How long it is kept after its last use, or after its end, where that is not as long as any other: a run's. */
function keptText(shape: AccumulatorShape): string {
  const keptMs = shape.kind === 'span' || shape.kind === 'budget' ? shape.keptMs : undefined
  return keptMs === undefined ? '' : `"kept":${keptMs},`
}
