import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { queryRecords } from '../../../src/adapters/audit-log/query.ts'
import type { RecordFilter } from '../../../src/adapters/audit-log/query.ts'
import { dataFolder, decision, editLines, openLog, segmentsOf, settlement } from './audit-folder.ts'

const START_MS = Date.parse('2026-03-01T00:00:00.000Z')

/** Two logs written in turns, one second apart. */
async function twoLogs(): Promise<string> {
  const data = dataFolder()
  let timeMs = START_MS
  const clock = { nowMs: () => timeMs }
  await using first = await openLog(data, { clock, segmentBytesMax: 600 })
  await using second = await openLog(data, { clock })
  for (let i = 0; i < 10; i += 1) {
    timeMs += 1000
    const log = i % 2 === 0 ? first : second
    await log.append(decision(`d-${i}`, i < 7 ? 'admit' : 'refuse'))
    if (i < 3) await log.append(settlement(`d-${i}`))
  }
  return data
}

async function idsOf(data: string, filter: RecordFilter): Promise<readonly string[]> {
  const ids: string[] = []
  for await (const record of queryRecords(data, filter)) ids.push(record.id)
  return ids
}

const numbered = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `d-${from + i}`)

describe('a query over all logs', () => {
  it('gives records in the order of time, whichever log they are in', async () => {
    const data = await twoLogs()
    expect(await idsOf(data, { types: ['decision'] })).toEqual(numbered(0, 10))
  })

  it('filters by every member, and by several at once', async () => {
    const data = await twoLogs()
    const of = (filter: RecordFilter) => idsOf(data, { types: ['decision'], ...filter })
    expect(await of({ outcome: 'refuse' })).toEqual(numbered(7, 10))
    expect(await of({ code: 'budget_exceeded' })).toEqual(numbered(7, 10))
    expect(await of({ code: 'rate_limited' })).toEqual([])
    expect(await of({ sinceMs: START_MS + 4000 })).toEqual(numbered(3, 10))
    expect(await of({ untilMs: START_MS + 4000 })).toEqual(numbered(0, 3))
    expect(await of({ tenant: 'acme', team: 'red', agent: 'planner', user: 'pseudonym-1', limit: 2 })).toEqual(
      numbered(0, 2),
    )
    for (const other of [{ tenant: 'x' }, { team: 'x' }, { agent: 'x' }, { user: 'x' }, { limit: 0 }]) {
      expect(await of(other)).toEqual([])
    }
    expect(await idsOf(data, { id: 'd-1' })).toEqual(['d-1', 's-d-1'])
    expect(await idsOf(data, { outcome: 'ok' })).toEqual(['s-d-0', 's-d-1', 's-d-2'])
  })

  it('never steps over a record that it cannot read', async () => {
    const data = dataFolder()
    await using log = await openLog(data)
    for (let i = 0; i < 4; i += 1) await log.append(decision(`d-${i}`))
    editLines(segmentsOf(log.dir)[0]!, (lines) => lines.with(3, 'x'))
    await expect(idsOf(data, {})).rejects.toThrow('record 3 cannot be read')
  })

  it('says so when the folder holds no logs', async () => {
    const data = dataFolder()
    await expect(idsOf(data, {})).rejects.toThrow(`${join(data, 'audit')}: no such folder`)
  })
})
