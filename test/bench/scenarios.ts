import type { Job } from './job.ts'

/** One way to load a server. */
export interface Scenario {
  readonly name: string
  readonly load: Pick<Job, 'lanes' | 'stream' | 'status'>
  /** Only a gateway refuses. */
  readonly refused?: true
}

export const SCENARIOS: readonly Scenario[] = [
  { name: 'calls, 64 at once', load: { lanes: 64, stream: false, status: 200 } },
  { name: 'calls, one at a time', load: { lanes: 1, stream: false, status: 200 } },
  { name: 'streams, 16 at once', load: { lanes: 16, stream: true, status: 200 } },
  { name: 'refusals, 64 at once', load: { lanes: 64, stream: false, status: 429 }, refused: true },
]
