/**
 * The rules that compare one row with another: with the other rows of its model, and with the rows it replaces.
 */
import { isLessRate, STANDARD_TIER, type PriceRow, type Rate } from '../../domain/prices/prices.ts'
import { METERS } from '../../domain/prices/usage.ts'
import { compileRow } from './pricing-compile.ts'
import { error, type Finding, type PlacedRow } from './pricing-finding.ts'
import type { PriceFileModel } from './pricing-schema.ts'

const CHEAPER_TIERS: ReadonlySet<string> = new Set(['flex', 'batch'])
const DEARER_TIERS: ReadonlySet<string> = new Set(['priority', 'fast'])

/** One row against all rows of its model. */
export function checkAgainstOthers(placed: PlacedRow, all: readonly PlacedRow[]): Finding[] {
  const { written, row, path } = placed
  const findings: Finding[] = []
  if (all.some((other) => other !== placed && other.row.key === row.key)) {
    findings.push(error('V11', [...path, 'key'], 'is the key of another row of this model'))
  }
  if (written.promotion && !all.some((other) => other.row.tier === row.tier && other.row.fromMs === row.untilMs)) {
    findings.push(error('V16', path, 'is a promotion, so it needs until and the row that follows it'))
  }
  for (const other of all) {
    if (meetInTime(other.row, row)) {
      if (other.row.tier === STANDARD_TIER && overlaps(other.row, row)) findings.push(...checkTier(placed, other.row))
      if (other.row.tier === row.tier && other.row.contextMax < row.contextMin)
        findings.push(...checkBand(placed, other.row))
    }
    const follows = other.row.tier === row.tier && other.row.untilMs === row.fromMs && overlaps(other.row, row)
    if (follows) findings.push(...changeOf(placed, other.row))
  }
  return findings
}

/** V5 and V14: a tier against the standard row beside it. */
function checkTier({ written, row, path }: PlacedRow, standard: PriceRow): Finding[] {
  if (row.tier === STANDARD_TIER) return []
  return METERS.flatMap((meter) => {
    const [rate, base] = [row.rates[meter], standard.rates[meter]]
    const at = [...path, 'rates', meter]
    if (base && !rate && !written.missing.includes(meter)) {
      return [
        error('V14', [...path, 'rates'], `has no ${meter}, which the standard row has; price it or list it as missing`),
      ]
    }
    if (!base || !rate) return []
    if (CHEAPER_TIERS.has(row.tier) && isLessRate(base, rate)) return [error('V5', at, 'is dearer than standard')]
    if (DEARER_TIERS.has(row.tier) && isLessRate(rate, base)) return [error('V5', at, 'is cheaper than standard')]
    return []
  })
}

/** V6: a band of longer input against a shorter one. */
function checkBand({ row, path }: PlacedRow, shorter: PriceRow): Finding[] {
  return METERS.flatMap((meter) => {
    const [rate, base] = [row.rates[meter], shorter.rates[meter]]
    if (!base) return []
    if (!rate) return [error('V6', [...path, 'rates'], `has no ${meter}, which the band of shorter input has`)]
    return isLessRate(rate, base) ? [error('V6', [...path, 'rates', meter], 'is cheaper than for shorter input')] : []
  })
}

function changeOf({ written, row, path }: PlacedRow, before: PriceRow): Finding[] {
  if (written.confirm !== undefined) return []
  return METERS.flatMap((meter) => {
    const [rate, base] = [row.rates[meter], before.rates[meter]]
    if (!rate || !base || !changesMuch(base, rate)) return []
    return [
      error(
        'V9',
        [...path, 'rates', meter],
        'changes by more than 60 %; if that is right, add confirm with the reason',
      ),
    ]
  })
}

function changesMuch(before: Rate, after: Rate): boolean {
  const [old, now] = [before.nanoUsd * after.per, after.nanoUsd * before.per]
  return (now > old ? now - old : old - now) * 10n > old * 6n
}

/** V9 against what a row replaces: the row before it, the entry it overrides, or the table in force. */
export function changeFindings(model: PriceFileModel, before: readonly PriceRow[]): Finding[] {
  return model.rows.flatMap((written, i) => {
    const row = compileRow(written)
    const replaced = before.filter((other) => other.tier === row.tier && overlaps(other, row) && meetInTime(other, row))
    return replaced.flatMap((other) => changeOf({ written, row, path: ['rows', i] }, other))
  })
}

function overlaps(left: PriceRow, right: PriceRow): boolean {
  return left.contextMin <= right.contextMax && right.contextMin <= left.contextMax
}

function meetInTime(left: PriceRow, right: PriceRow): boolean {
  return left.fromMs < right.untilMs && right.fromMs < left.untilMs
}
