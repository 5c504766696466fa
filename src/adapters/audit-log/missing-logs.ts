/**
 * Logs that were and are not: a log's key lies outside the folder of logs and gets its name once the log has its description,
 * so whoever removes a log, or the file that describes it, leaves a named key behind. A log that vanished unnoticed would take
 * along what it says was spent.
 */
import { readdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { isMissing } from './durable-file.ts'
import { logPaths } from './log-description.ts'
import type { LogReport } from './log-report.ts'

const KEY_FILE = /^(log-[a-z2-7]+)\.log\.pem$/

interface Folders {
  readonly auditDir: string
  readonly keysDir: string
}

/**
 * Names of logs that have a key and no description; none when the keys are not here, as with a copy. Keys are listed before
 * descriptions are looked for, since another process may be making a log at this moment.
 */
export function missingLogs({ auditDir, keysDir }: Folders): readonly string[] {
  const names = filesOf(keysDir).flatMap((file) => KEY_FILE.exec(file)?.[1] ?? [])
  return names.filter((name) => !isThere(logPaths(join(auditDir, name)).description)).toSorted()
}

function filesOf(dir: string): readonly string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}

/** Whether it can be read is another question: a file that may not be looked at is not a missing one. */
function isThere(path: string): boolean {
  try {
    statSync(path)
    return true
  } catch (error) {
    if (isMissing(error)) return false
    throw error
  }
}

/** A process that began anew beside a lost log would have forgotten what was spent. */
export function assertNoneMissing(folders: Folders): void {
  const [name] = missingLogs(folders)
  if (name === undefined) return
  const dir = join(folders.auditDir, name)
  const lost = `this log was written here and is gone or has lost its log.json; restore it from a backup`
  throw new Error(`${dir}: ${lost}, or move ${name}.* out of ${folders.keysDir} to declare it lost`)
}

/** What verification says of a log whose key is here and whose folder is not. */
export function reportMissing(log: string): LogReport {
  const findings = [{ kind: 'LOG_MISSING', log, severity: 'tampered' } as const]
  const nothing = { size: 0, signed: 0, root: '', more: 0, vkey: '', keyFrom: 'log.json' } as const
  return { ...nothing, log, origin: log, ok: false, verdict: 'tampered', findings }
}
