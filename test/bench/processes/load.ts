/** Makes the calls, in a process of its own: takes one job at a time from the bench and answers with what came of it. */
import { callBody } from '../canned.ts'
import { jobSchema } from '../job.ts'
import type { Job, Result } from '../job.ts'
import { Lane } from '../lane.ts'
import type { CallTimes } from '../lane.ts'
import { percentile } from '../statistics.ts'

interface Seen {
  readonly first: number[]
  readonly whole: number[]
  failures: number
  firstFailure: string | undefined
}

function requestOf({ url, token, stream }: Job): Buffer {
  const body = callBody(stream)
  const head = [
    'POST /v1/chat/completions HTTP/1.1',
    `host: ${new URL(url).host}`,
    'content-type: application/json',
    `content-length: ${body.length}`,
    `authorization: Bearer ${token}`,
  ]
  return Buffer.concat([Buffer.from(`${head.join('\r\n')}\r\n\r\n`), body])
}

async function drive(lane: Lane, { status }: Job, until: number, seen: Seen): Promise<void> {
  while (performance.now() < until) {
    const times = await lane.call().catch((error: unknown) => String(error))
    note(times, status, seen)
  }
}

function note(times: CallTimes | string, status: number, seen: Seen): void {
  if (typeof times !== 'string' && times.status === status) {
    seen.first.push(times.firstMs)
    seen.whole.push(times.wholeMs)
    return
  }
  seen.failures += 1
  seen.firstFailure ??= typeof times === 'string' ? times : `status ${times.status} instead of ${status}`
}

async function perform(job: Job): Promise<Result> {
  const seen: Seen = { first: [], whole: [], failures: 0, firstFailure: undefined }
  const request = requestOf(job)
  const lanes = Array.from({ length: job.lanes }, () => new Lane(new URL(job.url), request))
  const startedAt = performance.now()
  const until = startedAt + job.seconds * 1_000
  await Promise.all(lanes.map((lane) => drive(lane, job, until, seen)))
  const seconds = (performance.now() - startedAt) / 1_000
  for (const lane of lanes) lane[Symbol.dispose]()
  return {
    calls: seen.whole.length,
    seconds,
    failures: seen.failures,
    ...(seen.firstFailure !== undefined && { firstFailure: seen.firstFailure }),
    p50Ms: percentile(seen.whole, 0.5),
    p99Ms: percentile(seen.whole, 0.99),
    firstP50Ms: percentile(seen.first, 0.5),
  }
}

process.once('disconnect', () => process.exit())
process.on('message', (message) => {
  void perform(jobSchema.parse(message)).then((result) => process.send?.(result))
})
