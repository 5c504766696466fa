import type { Sample } from './measure.ts'
import type { VariantName } from './options.ts'
import { median } from './statistics.ts'
import { align } from './table.ts'

/** One line of the table: the medians of a variant in a scenario, and how they compare with the bare proxy's. */
export interface Row extends Sample {
  readonly scenario: string
  readonly variant: VariantName
  readonly samples: number
  /** Calls a second, processor time and added latency (p50 over direct), each as a multiple of the bare proxy's. */
  readonly toBare: { readonly rate?: number; readonly cpu?: number; readonly addedLatency?: number }
}

/** Samples by scenario, then by variant. */
export type Samples = ReadonlyMap<string, ReadonlyMap<VariantName, readonly Sample[]>>

export function summarize(samples: Samples): readonly Row[] {
  return [...samples].flatMap(([scenario, byVariant]) => {
    const medians = new Map([...byVariant].map(([variant, some]) => [variant, mediansOf(some)]))
    return [...medians].map(([variant, own]) => ({
      scenario,
      variant,
      samples: byVariant.get(variant)?.length ?? 0,
      ...own,
      toBare: compare(own, medians.get('bare'), medians.get('direct')),
    }))
  })
}

function mediansOf(samples: readonly Sample[]): Sample {
  const of = (read: (sample: Sample) => number | undefined) => {
    const values = samples.flatMap((sample) => read(sample) ?? [])
    return values.length === 0 ? undefined : median(values)
  }
  return {
    callsPerSecond: of((sample) => sample.callsPerSecond) ?? 0,
    cpuMicros: of((sample) => sample.cpuMicros),
    storeCpuMicros: of((sample) => sample.storeCpuMicros),
    p50Ms: of((sample) => sample.p50Ms) ?? 0,
    p99Ms: of((sample) => sample.p99Ms) ?? 0,
    firstP50Ms: of((sample) => sample.firstP50Ms) ?? 0,
  }
}

function compare(own: Sample, bare: Sample | undefined, direct: Sample | undefined): Row['toBare'] {
  if (bare === undefined) return {}
  const cpu = own.cpuMicros !== undefined && bare.cpuMicros !== undefined ? { cpu: own.cpuMicros / bare.cpuMicros } : {}
  const added = direct === undefined || own === direct ? undefined : own.p50Ms - direct.p50Ms
  const bareAdded = direct === undefined ? 0 : bare.p50Ms - direct.p50Ms
  // Where even the bare proxy adds nothing that can be measured, a multiple of it would be noise.
  const latency = added === undefined || bareAdded <= 0 ? {} : { addedLatency: added / bareAdded }
  return { rate: own.callsPerSecond / bare.callsPerSecond, ...cpu, ...latency }
}

const HEADER = [
  'variant',
  'calls/s',
  'x bare',
  'us CPU',
  'x bare',
  'us store',
  'p50 ms',
  'p99 ms',
  'first ms',
  'added x bare',
]

export function printTable(rows: readonly Row[]): string {
  const fixed = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits))
  return [...Map.groupBy(rows, (row) => row.scenario)]
    .map(([scenario, some]) => {
      const cells = some.map((row) => [
        row.variant,
        fixed(row.callsPerSecond, 0),
        fixed(row.toBare.rate, 2),
        fixed(row.cpuMicros, 1),
        fixed(row.toBare.cpu, 2),
        fixed(row.storeCpuMicros, 1),
        fixed(row.p50Ms, 3),
        fixed(row.p99Ms, 3),
        fixed(row.firstP50Ms, 3),
        fixed(row.toBare.addedLatency, 2),
      ])
      return `${scenario}\n${align([HEADER, ...cells])}`
    })
    .join('\n\n')
}
