import { once } from 'node:events'
import type { Child } from './child.ts'
import { resultSchema } from './job.ts'
import type { Job, Result } from './job.ts'
import { processorMicros } from './processor-time.ts'
import type { Scenario } from './scenarios.ts'
import type { Variant } from './variants.ts'

/** What one scenario showed of one variant in one round. */
export interface Sample {
  readonly callsPerSecond: number
  /** Processor time of the server a call, in microseconds; undefined where no process is of interest. */
  readonly cpuMicros: number | undefined
  readonly storeCpuMicros: number | undefined
  readonly p50Ms: number
  readonly p99Ms: number
  readonly firstP50Ms: number
}

/** How long after its time a job may still be under way: its last calls, and a busy machine. */
const OVERTIME_MS_MAX = 60_000

/** Loads one variant by one scenario. A single call that fails makes the whole figure worthless, so it is an error. */
export async function measure(
  variant: Variant,
  { scenario, seconds, load }: { readonly scenario: Scenario; readonly seconds: number; readonly load: Child },
): Promise<Sample> {
  const token = scenario.refused === true ? variant.brokeToken : variant.token
  if (token === undefined) throw new Error(`${variant.name} cannot refuse`)
  const before = processorTimes(variant)
  const result = await perform(load, { ...scenario.load, url: variant.url, token, seconds })
  const after = processorTimes(variant)
  const { calls, failures } = result
  if (failures > 0 || calls === 0) {
    const why = result.firstFailure ?? 'no call was finished'
    throw new Error(
      `${variant.name}: ${scenario.name}: ${failures} of ${failures + calls} calls failed: ${why}${variant.tail?.() ?? ''}`,
    )
  }
  const perCall = (of: 'server' | 'store') => {
    const [start, end] = [before[of], after[of]]
    return start === undefined || end === undefined ? undefined : (end - start) / calls
  }
  return {
    ...result,
    callsPerSecond: calls / result.seconds,
    cpuMicros: perCall('server'),
    storeCpuMicros: perCall('store'),
  }
}

function processorTimes({ pid, storePid }: Variant) {
  return {
    server: pid === undefined ? undefined : processorMicros(pid),
    store: storePid === undefined ? undefined : processorMicros(storePid),
  }
}

async function perform(load: Child, job: Job): Promise<Result> {
  load.process.send(job)
  const signal = AbortSignal.timeout(job.seconds * 1_000 + OVERTIME_MS_MAX)
  const [message] = await once(load.process, 'message', { signal })
  return resultSchema.parse(message)
}
