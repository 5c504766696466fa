/** The value below which a part of the values lies (nearest rank); 0 of none. */
export function percentile(values: readonly number[], part: number): number {
  const sorted = Float64Array.from(values).toSorted()
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(part * sorted.length) - 1))] ?? 0
}

export function median(values: readonly number[]): number {
  return percentile(values, 0.5)
}
