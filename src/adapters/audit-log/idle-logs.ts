/**
 * Logs of a data folder that no process writes to: their processes are gone, and what they settled counts on.
 */
import type { IdleLog } from '../../ports/audit-log.ts'
import { readDescription, logPaths } from './log-description.ts'
import { tryLock } from './log-folder.ts'
import { readRecords } from './log-reader.ts'
import { listLogs } from './query.ts'

/** Takes the lock of every log that is free; the caller gives them back. */
export async function claimIdleLogs(dataDir: string): Promise<readonly IdleLog[]> {
  const claimed: IdleLog[] = []
  for (const dir of await listLogs(dataDir)) {
    const description = readDescription(dir)
    const lock = description === undefined ? undefined : tryLock(logPaths(dir).lock)
    if (description === undefined || lock === undefined) continue
    claimed.push({
      origin: description.origin,
      records: () => readRecords(dir),
      [Symbol.dispose]: () => lock[Symbol.dispose](),
    })
  }
  return claimed
}
