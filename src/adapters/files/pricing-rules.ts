/**
 * The rules of pricing/README.md on one model. Each answers a kind of mistake that real price lists have shipped: swapped
 * cache prices, slipped units, a missing price read as free, a band or tier that nobody priced.
 */
import { isLessRate, STANDARD_TIER, type Rate } from '../../domain/prices/prices.ts'
import { METERS, type Meter } from '../../domain/prices/usage.ts'
import { checkAgainstOthers } from './pricing-comparisons.ts'
import { compileRow } from './pricing-compile.ts'
import { error, warning, type Finding, type PlacedRow } from './pricing-finding.ts'
import { instantMs, type PriceFileModel } from './pricing-schema.ts'
import { tilingFault } from './pricing-tiling.ts'

const DAY_MS = 86_400_000
/** Vendors change prices about every other month: a row not looked at for longer may be wrong. */
const CHECK_WARN_MS = 45 * DAY_MS
const CHECK_STALE_MS = 90 * DAY_MS

/** No list price has needed more; what does is a binary fraction that was printed. */
const DECIMALS_USUAL = 6
const DIGITS_USUAL = 8

const CACHE_WRITES = ['cache_write', 'cache_write_5m', 'cache_write_1h'] as const satisfies readonly Meter[]
/** V8, in nano-dollars per million tokens: beyond every list price, within reach of a slipped unit. */
const EXTREME_INPUT = 700_000_000_000n
const EXTREME_OUTPUT = 3_000_000_000_000n

/** Everything that is wrong or doubtful about one model. */
export function checkModel(model: PriceFileModel, nowMs: number): Finding[] {
  const rows = model.rows.map((written, i) => ({ written, row: compileRow(written), path: ['rows', i] }))
  return [
    ...checkHead(model),
    ...rows.flatMap((row) => checkRow(model, row)),
    ...rows.flatMap((row) => checkAgainstOthers(row, rows)),
    ...checkTiling(model, rows),
    ...checkAge(rows, nowMs),
  ]
}

function checkHead(model: PriceFileModel): Finding[] {
  const findings: Finding[] = []
  const { limits } = model
  if (limits === undefined) {
    findings.push(
      warning('V12', ['id'], 'has no limits, so no call can be bounded and each is refused; add its context'),
    )
  } else if (limits.max_output === undefined) {
    findings.push(warning('V12', ['limits'], 'has no max_output, so the context bounds the output; add it'))
  } else if (limits.max_output > limits.context) {
    findings.push(error('V12', ['limits', 'max_output'], 'is larger than the context'))
  } else if (limits.max_output === limits.context) {
    findings.push(warning('V12', ['limits', 'max_output'], 'equals the context, which is rarely true; check it'))
  }
  if (limits?.max_input !== undefined && limits.max_input > limits.context) {
    findings.push(error('V12', ['limits', 'max_input'], 'is larger than the context'))
  }
  if (model.agreed_by === undefined && model.single_source === undefined) {
    findings.push(error('V19', ['id'], 'names no second source; add agreed_by, or single_source: true'))
  }
  if (model.overrides && model.reason === undefined) {
    findings.push(error('schema', ['overrides'], 'needs a reason: say why this entry replaces the listed one'))
  }
  for (const [name, text] of Object.entries(model.geography)) {
    const value = Number(text)
    if (value < 1 || value > 1.5) findings.push(error('V15', ['geography', name], 'must be from 1.0 to 1.5'))
  }
  if (Number(model.tokenizer.bytes_factor) < 1) {
    findings.push(error('V12', ['tokenizer', 'bytes_factor'], 'must be at least 1, or bytes are no bound on tokens'))
  }
  return findings
}

function checkRow(model: PriceFileModel, placed: PlacedRow): Finding[] {
  const { written, row, path } = placed
  const findings: Finding[] = []
  const { input, output, cache_read } = row.rates
  for (const meter of METERS) {
    if (isNoisy(written.rates[meter])) {
      findings.push(
        warning('V2', [...path, 'rates', meter], 'has more digits than list prices have; is it a rounded float?'),
      )
    }
    if (written.missing.includes(meter) && row.rates[meter]) {
      findings.push(error('V14', [...path, 'missing'], `names ${meter}, which has a rate`))
    }
  }
  if (input === undefined || output === undefined) {
    return [...findings, error('V14', [...path, 'rates'], 'must price input and output')]
  }
  if (cache_read && isLessRate(input, cache_read)) {
    findings.push(error('V3', [...path, 'rates', 'cache_read'], 'is dearer than input; are read and write swapped?'))
  }
  for (const meter of CACHE_WRITES) findings.push(...checkCacheWrite(placed, meter, input))
  if (isLessRate(output, input)) findings.push(warning('V4', [...path, 'rates', 'output'], 'is cheaper than input'))
  findings.push(...checkZero(placed), ...checkExtreme(model, placed, { input, output }), ...checkCacheMeters(placed))
  if (model.status === 'retired' && written.until === undefined) {
    findings.push(error('V18', path, 'has no end although the model is retired; add until'))
  }
  return findings
}

function checkCacheWrite({ row, path }: PlacedRow, meter: Meter, input: Rate): Finding[] {
  const write = row.rates[meter]
  if (write === undefined) return []
  const twice: Rate = { nanoUsd: input.nanoUsd * 2n, per: input.per }
  if (!isLessRate(write, input) && !isLessRate(twice, write)) return []
  return [error('V3', [...path, 'rates', meter], 'must cost between once and twice the input')]
}

function checkZero({ written, row, path }: PlacedRow): Finding[] {
  const isZero = Object.values(row.rates).every((rate) => rate.nanoUsd === 0n)
  if (isZero && !(written.free && written.reason !== undefined)) {
    return [error('V7', [...path, 'rates'], 'is zero throughout; if it is really free, add free: true and a reason')]
  }
  return []
}

function checkExtreme(model: PriceFileModel, { path }: PlacedRow, rates: { input: Rate; output: Rate }): Finding[] {
  if (model.extreme) return []
  const tooDear = rates.input.nanoUsd > EXTREME_INPUT || rates.output.nanoUsd > EXTREME_OUTPUT
  if (!tooDear) return []
  return [
    error('V8', [...path, 'rates'], 'is above 700 (input) or 3000 (output) USD per million; if so, add extreme: true'),
  ]
}

function checkCacheMeters({ written, row, path }: PlacedRow): Finding[] {
  const has = (meter: Meter) => row.rates[meter] !== undefined || written.missing.includes(meter)
  const findings: Finding[] = []
  if (CACHE_WRITES.some(has) && !has('cache_read')) {
    findings.push(error('V14', [...path, 'rates'], 'prices cache writes but no cache_read'))
  }
  if (has('cache_write_5m') !== has('cache_write_1h')) {
    findings.push(
      error('V14', [...path, 'rates'], 'must price both cache_write_5m and cache_write_1h, or list one as missing'),
    )
  }
  return findings
}

function checkTiling(model: PriceFileModel, rows: readonly PlacedRow[]): Finding[] {
  const tiers = [...new Set(rows.map(({ row }) => row.tier))]
  const backwards = rows.find(({ row }) => row.untilMs <= row.fromMs)
  if (backwards) return [error('V10', backwards.path, 'ends before it begins')]
  if (!tiers.includes(STANDARD_TIER)) return [error('V10', ['rows'], 'has no row of the standard tier')]
  return tiers.flatMap((tier) => {
    const ofTier = rows.filter(({ row }) => row.tier === tier).map(({ row }) => row)
    const fault = tilingFault(tier, ofTier, model.status === 'retired')
    return fault === undefined ? [] : [error('V10', ['rows'], fault)]
  })
}

/** V13, once for a model, by its oldest row. Only warnings: a machine whose clock is wrong must still start. */
function checkAge(rows: readonly PlacedRow[], nowMs: number): Finding[] {
  const [oldest] = rows.toSorted((a, b) => checkedMs(a) - checkedMs(b))
  if (oldest === undefined) return []
  const path = [...oldest.path, 'source', 'checked']
  const ageMs = nowMs - checkedMs(oldest)
  if (ageMs < -DAY_MS) return [warning('V13', path, 'lies in the future; correct it, or the clock of this machine')]
  if (ageMs > CHECK_STALE_MS) return [warning('V13', path, 'is stale: more than 90 days ago; check the price again')]
  return ageMs > CHECK_WARN_MS ? [warning('V13', path, 'is more than 45 days ago; check the price again')] : []
}

function checkedMs({ written }: PlacedRow): number {
  return instantMs(written.source.checked) ?? 0
}

/** V2: a price like 0.30000000004. */
function isNoisy(price: string | undefined): boolean {
  if (price === undefined) return false
  const [whole = '', fraction = ''] = price.split('.')
  return fraction.length > DECIMALS_USUAL || `${whole}${fraction}`.replace(/^0+/, '').length > DIGITS_USUAL
}
