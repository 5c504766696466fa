import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { openAuditLog } from '../../../src/adapters/audit-log/audit-log.ts'
import type { OpenAuditLogOptions } from '../../../src/adapters/audit-log/audit-log.ts'
import type { RecordDraft } from '../../../src/domain/audit/audit-record.ts'

/** A data folder that is gone after the test. */
export function dataFolder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-audit-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

export function openLog(data: string, options: Partial<OpenAuditLogOptions> = {}) {
  return openAuditLog({ dir: join(data, 'audit'), deployment: 'gw.test', durability: 'disk', ...options })
}

export function decision(id: string, out: 'admit' | 'refuse' = 'admit'): RecordDraft {
  return {
    v: 1,
    type: 'decision',
    id,
    req: { id, ep: '/v1/chat/completions' },
    act: { tenant: 'acme', team: 'red', agent: 'planner', sub: 'pseudonym-1' },
    dec: out === 'admit' ? { out } : { out, code: 'budget_exceeded' },
  }
}

export function settlement(id: string): RecordDraft {
  return { v: 1, type: 'settle', id: `s-${id}`, ref: { id }, act: { tenant: 'acme', team: 'red' }, out: 'ok' }
}

/** The only log of a data folder. */
export function onlyLog(data: string): string {
  const [name] = readdirSync(join(data, 'audit'))
  return join(data, 'audit', name!)
}

export function segmentsOf(log: string): readonly string[] {
  return readdirSync(join(log, 'seg'))
    .filter((name) => name.endsWith('.jsonl'))
    .map((name) => join(log, 'seg', name))
}

/** Changes a file of lines. */
export function editLines(path: string, edit: (lines: readonly string[]) => readonly string[]): void {
  const lines = readFileSync(path, 'utf8').split('\n').slice(0, -1)
  writeFileSync(
    path,
    edit(lines)
      .map((line) => `${line}\n`)
      .join(''),
  )
}

/** A closed log with `count` decisions and their settlements. */
export async function closedLog(data: string, count: number): Promise<string> {
  await using log = await openLog(data)
  for (let i = 0; i < count; i += 1) {
    await log.append(decision(`d-${i}`))
    await log.append(settlement(`d-${i}`))
  }
  return log.dir
}
