import { align } from '../table.ts'
import { median } from '../statistics.ts'
import type { ContestantName } from './contestant.ts'
import type { Grown } from './growth.ts'
import type { Sample } from './measure.ts'
import type { Size } from './mixes.ts'

/** One line: the medians of a contestant at a size, and its first step as a multiple of one INCRBY. */
export interface Row extends Sample {
  readonly contestant: ContestantName
  readonly size: Size
  readonly toIncrby: number | undefined
  /** Decisions a second as a multiple of rate-limiter-flexible's at the same size. */
  readonly toFlexible: number | undefined
}

export interface Measured {
  readonly contestant: ContestantName
  readonly size: Size
  readonly sample: Sample
}

export function summarize(measured: readonly Measured[]): readonly Row[] {
  const groups = Map.groupBy(measured, ({ contestant, size }) => `${contestant} ${size}`)
  const rows = [...groups.values()].flatMap((some) => {
    const [first] = some
    if (first === undefined) return []
    const { contestant, size } = first
    return [{ contestant, size, ...mediansOf(some.map(({ sample }) => sample)) }]
  })
  const floor = rows.find(({ contestant }) => contestant === 'incrby')?.firstStepUs
  return rows.map((row) => {
    const flexible = rows.find(({ contestant, size }) => contestant === 'flexible' && size === row.size)
    return {
      ...row,
      toIncrby: floor === undefined ? undefined : row.firstStepUs / floor,
      toFlexible: flexible === undefined ? undefined : row.perSecond / flexible.perSecond,
    }
  })
}

function mediansOf(samples: readonly Sample[]): Sample {
  const of = (read: (sample: Sample) => number | undefined) => {
    const values = samples.flatMap((sample) => read(sample) ?? [])
    return values.length === 0 ? undefined : median(values)
  }
  return {
    firstStepUs: of((sample) => sample.firstStepUs) ?? 0,
    secondStepUs: of((sample) => sample.secondStepUs),
    wholeP99Us: of((sample) => sample.wholeP99Us) ?? 0,
    perSecond: of((sample) => sample.perSecond) ?? 0,
    nodeCpuUs: of((sample) => sample.nodeCpuUs) ?? 0,
    storeCpuUs: of((sample) => sample.storeCpuUs) ?? 0,
    refusedNodeCpuUs: of((sample) => sample.refusedNodeCpuUs),
    refusedStoreCpuUs: of((sample) => sample.refusedStoreCpuUs),
  }
}

const TITLES: Readonly<Record<ContestantName, string>> = {
  incrby: 'one INCRBY',
  memory: 'memory',
  redis: 'Redis',
  cluster: 'Cluster, one shard',
  'cluster-apart': 'Cluster, two shards',
  flexible: 'rate-limiter-flexible *',
}

const COST = [
  'ledger',
  'accumulators',
  'reserve us',
  'x INCRBY',
  'settle us',
  'p99 us',
  'decisions/s',
  'x flexible',
  'node us',
  'store us',
  'refused: node us',
  'store us',
]

const GROWTH = ['ledger', 'identities', 'decisions/s', 'node us', 'store us', 'bytes an identity']

const fixed = (value: number | undefined, digits: number) => (value === undefined ? '-' : value.toFixed(digits))

export function printCost(rows: readonly Row[]): string {
  const cells = rows.map((row) => [
    TITLES[row.contestant],
    String(row.size),
    fixed(row.firstStepUs, 1),
    fixed(row.toIncrby, 2),
    fixed(row.secondStepUs, 1),
    fixed(row.wholeP99Us, 0),
    fixed(row.perSecond, 0),
    fixed(row.toFlexible, 2),
    fixed(row.nodeCpuUs, 1),
    fixed(row.storeCpuUs, 1),
    fixed(row.refusedNodeCpuUs, 1),
    fixed(row.refusedStoreCpuUs, 1),
  ])
  return `cost of a decision (latency one at a time, the rest 64 at once)\n${align([COST, ...cells])}\n${FOOTNOTE}`
}

const FOOTNOTE =
  '  * one command per counter, sent together: not one step, so a refusal leaves other counters charged; nothing held that a crash would leave to be found'

export function printGrowth(grown: readonly Grown[]): string {
  const cells = grown.map((row) => [
    TITLES[row.contestant],
    String(row.identities),
    fixed(row.perSecond, 0),
    fixed(row.nodeCpuUs, 1),
    fixed(row.storeCpuUs, 1),
    fixed(row.bytesPerIdentity, 0),
  ])
  return `growth (4 accumulators an identity, every identity counted once before, 64 at once)\n${align([GROWTH, ...cells])}`
}
