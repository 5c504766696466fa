/** How fast one contestant decides: one decision after another for latency, many at once for throughput and processor time. */
import { processorMicros } from '../processor-time.ts'
import { median, percentile } from '../statistics.ts'
import type { Contestant } from './contestant.ts'
import type { Size } from './mixes.ts'

/** What one contestant showed at one size in one round. */
export interface Sample {
  /** One at a time, microseconds. Second step undefined where there is none. */
  readonly firstStepUs: number
  readonly secondStepUs: number | undefined
  readonly wholeP99Us: number
  /** 64 at once. */
  readonly perSecond: number
  readonly nodeCpuUs: number
  readonly storeCpuUs: number
  /** Refusals, 64 at once; undefined where nothing refuses. */
  readonly refusedNodeCpuUs: number | undefined
  readonly refusedStoreCpuUs: number | undefined
}

export interface Load {
  readonly seconds: number
  /** Decisions go round these. */
  readonly identities: number
}

/** As many as the other benches have in flight. */
const LANES = 64

/** Identities are visited in strides, so that neighbours in time are not neighbours in the store. */
const STRIDE = 7_919

export async function measure(contestant: Contestant, size: Size, load: Load): Promise<Sample> {
  const latency = await oneAtATime(contestant, size, load)
  const many = await manyAtOnce(contestant, load, async (identity) => {
    const close = await contestant.open(size, identity)
    await close?.()
  })
  const refuse = contestant.refuse?.bind(contestant)
  const refused =
    refuse === undefined ? undefined : await manyAtOnce(contestant, load, (identity) => refuse(size, identity))
  return {
    ...latency,
    perSecond: many.perSecond,
    nodeCpuUs: many.nodeCpuUs,
    storeCpuUs: many.storeCpuUs,
    refusedNodeCpuUs: refused?.nodeCpuUs,
    refusedStoreCpuUs: refused?.storeCpuUs,
  }
}

async function oneAtATime(contestant: Contestant, size: Size, { seconds, identities }: Load) {
  const [first, second, whole]: [number[], number[], number[]] = [[], [], []]
  const until = performance.now() + seconds * 1_000
  for (let at = 0; performance.now() < until; at += STRIDE) {
    const startedAt = performance.now()
    const close = await contestant.open(size, at % identities)
    const openedAt = performance.now()
    await close?.()
    const endedAt = performance.now()
    first.push((openedAt - startedAt) * 1_000)
    if (close !== undefined) second.push((endedAt - openedAt) * 1_000)
    whole.push((endedAt - startedAt) * 1_000)
  }
  return {
    firstStepUs: median(first),
    secondStepUs: second.length === 0 ? undefined : median(second),
    wholeP99Us: percentile(whole, 0.99),
  }
}

export interface Throughput {
  readonly perSecond: number
  readonly nodeCpuUs: number
  readonly storeCpuUs: number
}

export async function manyAtOnce(
  contestant: Contestant,
  { seconds, identities }: Load,
  decide: (identity: number) => Promise<void>,
): Promise<Throughput> {
  let done = 0
  let at = 0
  const storeBefore = storeMicros(contestant)
  const cpuBefore = process.cpuUsage()
  const startedAt = performance.now()
  const until = startedAt + seconds * 1_000
  const lane = async () => {
    while (performance.now() < until) {
      at += STRIDE
      await decide(at % identities)
      done += 1
      // A ledger in this process never waits: without a turn of the event loop the lanes would not take turns either.
      if (contestant.storePids.length === 0 && done % LANES === 0) await new Promise(setImmediate)
    }
  }
  await Promise.all(Array.from({ length: LANES }, lane))
  const elapsedS = (performance.now() - startedAt) / 1_000
  const { user, system } = process.cpuUsage(cpuBefore)
  return {
    perSecond: done / elapsedS,
    nodeCpuUs: (user + system) / done,
    storeCpuUs: (storeMicros(contestant) - storeBefore) / done,
  }
}

function storeMicros({ storePids }: Contestant): number {
  return storePids.reduce((sum, pid) => sum + processorMicros(pid), 0)
}
