/**
 * Logs that were and are not: a log's key is made before its first record and lies outside the folder of logs, so whoever
 * removes a log, or the file that describes it, leaves its key behind.
 */
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { isMissing } from './durable-file.ts'
import { logPaths, readDescription } from './log-description.ts'
import type { LogReport } from './log-report.ts'

const KEY_FILE = /^(log-[a-z2-7]+)\.log\.pem$/

/** Names of logs that have a key and no longer what they held; none when the keys are not here, as with a copy. */
export function missingLogs(folders: { readonly auditDir: string; readonly keysDir: string }): readonly string[] {
  const names = filesOf(folders.keysDir).flatMap((file) => KEY_FILE.exec(file)?.[1] ?? [])
  return names.filter((name) => isGone(join(folders.auditDir, name)))
}

/** A start that was killed before it described its log leaves an empty folder: that one never held a record. */
function isGone(dir: string): boolean {
  if (readDescription(dir) !== undefined) return false
  const segments = filesOf(logPaths(dir).segments, 'gone')
  return segments[0] === 'gone' || segments.length > 0
}

function filesOf(dir: string, whenMissing?: string): readonly string[] {
  try {
    return readdirSync(dir)
  } catch (error) {
    if (isMissing(error)) return whenMissing === undefined ? [] : [whenMissing]
    throw error
  }
}

/** What verification says of a log whose key is here and which is not. */
export function reportMissing(log: string): LogReport {
  const findings = [{ kind: 'LOG_MISSING', log, severity: 'tampered' } as const]
  const nothing = { size: 0, signed: 0, root: '', more: 0, vkey: '', keyFrom: 'log.json' } as const
  return { ...nothing, log, origin: log, ok: false, verdict: 'tampered', findings }
}
