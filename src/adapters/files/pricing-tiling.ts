/**
 * V10: for every instant and every amount of input, at most one row of a tier applies, and standard rows leave no gap.
 */
import { CONTEXT_UNBOUNDED, FOREVER_MS, STANDARD_TIER, type PriceRow } from '../../domain/prices/prices.ts'

/** What is wrong with the tiling of one tier, or undefined. A retired model may end; nothing else may. */
export function tilingFault(tier: string, rows: readonly PriceRow[], isRetired: boolean): string | undefined {
  const points = [...new Set(rows.flatMap((row) => [row.fromMs, row.untilMs]))].toSorted((a, b) => a - b)
  for (let i = 0; i + 1 < points.length; i += 1) {
    const startMs = points[i] ?? 0
    const endMs = points[i + 1] ?? 0
    const inForce = rows.filter((row) => row.fromMs <= startMs && endMs <= row.untilMs)
    const fault = bandFault(tier, inForce)
    if (fault !== undefined) return `from ${dayOf(startMs)} to ${dayOf(endMs)} ${fault}`
  }
  const endMs = points.at(-1) ?? 0
  if (tier === STANDARD_TIER && !isRetired && endMs < FOREVER_MS) {
    return `no ${tier} row is in force after ${dayOf(endMs)}; leave out its end or add the row that follows`
  }
  return undefined
}

/** Bands must follow each other from 0. Tiers other than standard may end early: vendors do not offer them for long input. */
function bandFault(tier: string, rows: readonly PriceRow[]): string | undefined {
  const bands = rows.toSorted((a, b) => a.contextMin - b.contextMin)
  let next = 0
  for (const band of bands) {
    if (band.contextMin > band.contextMax) return `row ${band.key} has a context band that ends before it begins`
    if (band.contextMin < next) return `row ${band.key} overlaps another ${tier} row`
    if (band.contextMin > next)
      return `no ${tier} row prices ${String(next)} to ${String(band.contextMin - 1)} input tokens`
    next = band.contextMax === CONTEXT_UNBOUNDED ? CONTEXT_UNBOUNDED : band.contextMax + 1
  }
  if (bands.length === 0) return `no ${tier} row is in force`
  if (tier === STANDARD_TIER && next < CONTEXT_UNBOUNDED)
    return `no ${tier} row prices more than ${String(next - 1)} input tokens`
  return undefined
}

function dayOf(ms: number): string {
  if (ms === FOREVER_MS) return 'the end of time'
  return ms === 0 ? 'the beginning' : new Date(ms).toISOString()
}
