import { appendFileSync, copyFileSync, cpSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verifyFolder, verifyLog } from '../../../src/adapters/audit-log/verify.ts'
import { closedLog, dataFolder, decision, editLines, openLog, segmentsOf, settlement } from './audit-folder.ts'

const MINUTE_MS = 60_000

function segment(dir: string): string {
  return segmentsOf(dir)[0]!
}

/** A log with 23 records: genesis, open, ten decisions with settlements, close. */
async function soundLog(): Promise<{ data: string; dir: string }> {
  const data = dataFolder()
  return { data, dir: await closedLog(data, 10) }
}

describe('verifying a log', () => {
  it('finds nothing in a sound one, and says whose key it believed', async () => {
    const { dir } = await soundLog()
    const report = await verifyLog(dir)
    expect(report).toMatchObject({ ok: true, verdict: 'ok', size: 23, signed: 23, findings: [], keyFrom: 'log.json' })
    expect(await verifyLog(dir, { vkey: report.vkey })).toMatchObject({ ok: true, keyFrom: 'given' })
  })

  it.each([
    ['one byte is changed', (lines: readonly string[]) => lines.with(7, lines[7]!.replace('acme', 'acmf')), [7]],
    ['one line is removed', (lines: readonly string[]) => lines.toSpliced(12, 1), [12]],
    ['two lines are swapped', (lines: readonly string[]) => lines.with(4, lines[9]!).with(9, lines[4]!), [4, 9]],
    ['two neighbours are swapped', (lines: readonly string[]) => lines.with(4, lines[5]!).with(5, lines[4]!), [4, 5]],
    ['the tail is cut', (lines: readonly string[]) => lines.slice(0, 20), [20]],
    ['a line is there twice', (lines: readonly string[]) => lines.toSpliced(9, 0, lines[3]!), [3]],
    ['a line is no record', (lines: readonly string[]) => lines.with(8, 'x'.repeat(100_000)), [8]],
  ])('names the record when %s', async (_name, edit, expected) => {
    const { dir } = await soundLog()
    editLines(segment(dir), edit)
    const report = await verifyLog(dir)
    expect(report).toMatchObject({ ok: false, verdict: 'tampered' })
    const tampered = report.findings.filter(({ severity }) => severity === 'tampered')
    const names = tampered.map((finding) =>
      'seq' in finding ? finding.seq : 'from' in finding ? finding.from : 'have' in finding ? finding.have : undefined,
    )
    expect(names.toSorted((a = 0, b = 0) => a - b)).toEqual(expected)
  })

  it('is not misled by a hash file, a sidecar or a description that were changed along', async () => {
    const { data, dir } = await soundLog()
    const { vkey } = await verifyLog(dir)
    const [forgedData] = [dataFolder()]
    // The same calls in a log of the attacker's own: internally sound in every file.
    const forged = await closedLog(forgedData, 9)
    for (const file of ['log.json', 'checkpoint', 'checkpoints.notes', 'hash/L0.bin']) {
      copyFileSync(join(forged, file), join(dir, file))
    }
    copyFileSync(segment(forged), segment(dir))
    expect(await verifyLog(dir)).toMatchObject({ verdict: 'ok', keyFrom: 'log.json' })
    const report = await verifyLog(dir, { vkey })
    expect(report).toMatchObject({ verdict: 'tampered', signed: 0 })
    expect(report.findings.map(({ kind }) => kind)).toContain('UNKNOWN_KEY')
    const [found] = await verifyFolder(data, { vkey })
    expect(found).toMatchObject({ verdict: 'tampered', keyFrom: 'given' })
    await expect(verifyFolder(forgedData, { vkey })).rejects.toThrow('it was moved or removed')
  })

  it('is not misled by an older checkpoint that was put back', async () => {
    const data = dataFolder()
    let old = ''
    {
      await using log = await openLog(data)
      old = readFileSync(join(log.dir, 'checkpoint'), 'utf8')
      for (let i = 0; i < 5; i += 1) await log.append(decision(`d-${i}`, 'refuse'))
    }
    const [name] = (await verifyFolder(data)).map(({ log }) => log)
    const dir = join(data, 'audit', name!)
    editLines(segment(dir), (lines) => lines.slice(0, 4))
    writeFileSync(join(dir, 'checkpoint'), old)
    expect((await verifyLog(dir)).findings).toMatchObject([{ kind: 'TRUNCATED', have: 4, signed: 8 }])
  })

  it('finds a checkpoint with another signature, and one that is gone', async () => {
    const { dir } = await soundLog()
    const note = readFileSync(join(dir, 'checkpoint'), 'utf8')
    writeFileSync(join(dir, 'checkpoint'), note.replace('\n23\n', '\n22\n'))
    expect((await verifyLog(dir)).findings).toMatchObject([{ kind: 'BAD_SIG', file: 'checkpoint' }])
    rmSync(join(dir, 'checkpoint'))
    rmSync(join(dir, 'checkpoints.notes'))
    expect((await verifyLog(dir)).findings).toMatchObject([{ kind: 'NO_CHECKPOINT', size: 23 }])
  })

  it('finds a log whose records are all gone', async () => {
    const { data, dir } = await soundLog()
    rmSync(join(dir, 'seg'), { recursive: true })
    const [report] = await verifyFolder(data)
    expect(report?.findings).toMatchObject([{ kind: 'TRUNCATED', have: 0, signed: 23 }])
  })

  it('verifies the other logs when the description of one is gone or unreadable', async () => {
    const { data, dir } = await soundLog()
    cpSync(dir, join(data, 'audit', 'log-zzzzzzzz'), { recursive: true })
    rmSync(join(data, 'audit', 'log-zzzzzzzz', 'log.json'))
    const reports = await verifyFolder(data)
    expect(reports.map(({ verdict }) => verdict)).toEqual(['ok', 'tampered'])
    expect(reports[1]?.findings).toMatchObject([{ kind: 'UNKNOWN_KEY', file: 'log.json' }])
    writeFileSync(join(data, 'audit', 'log-zzzzzzzz', 'log.json'), '{"origin": 1}')
    expect((await verifyFolder(data)).map(({ verdict }) => verdict)).toEqual(['ok', 'tampered'])
  })

  it('says that a wrong hash file is no wrong record', async () => {
    const { dir } = await soundLog()
    truncateSync(join(dir, 'hash', 'L0.bin'), 100)
    const report = await verifyLog(dir)
    expect(report.verdict).toBe('warning')
    expect(report.findings).toMatchObject([{ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', recordsMatch: true }])
  })

  it('takes a log that is being written as it is: its newest records are not signed yet', async () => {
    const data = dataFolder()
    await using log = await openLog(data, { checkpointMs: 3_600_000 })
    for (let i = 0; i < 5; i += 1) await log.append(decision(`d-${i}`, 'refuse'))
    appendFileSync(segment(log.dir), '{"half a rec')
    const report = await verifyLog(log.dir)
    expect(report).toMatchObject({ ok: true, size: 7, signed: 2 })
    expect(report.findings).toMatchObject([{ kind: 'UNSIGNED_TAIL', n: 5 }])
  })

  it('verifies again and again while the log is written', async () => {
    const data = dataFolder()
    await using log = await openLog(data, { checkpointMs: 10, segmentBytesMax: 20_000 })
    const done = new AbortController()
    const writing = (async () => {
      for (let i = 0; !done.signal.aborted; i += 1) await log.append(decision(`d-${i}`, 'refuse'))
    })()
    const verdicts = new Set<string>()
    for (let i = 0; i < 15; i += 1) verdicts.add((await verifyLog(log.dir)).verdict)
    done.abort()
    await writing
    expect(verdicts).toEqual(new Set(['ok']))
  })
})

describe('what the records say about each other', () => {
  const clockAt = (timeMs: number) => ({ nowMs: () => timeMs })

  it('names a call that was admitted and never settled: noted while it may be open, a warning afterwards', async () => {
    const data = dataFolder()
    {
      await using log = await openLog(data)
      await log.append(decision('open'))
      const report = await verifyLog(log.dir, { clock: clockAt(Date.now() + 60 * MINUTE_MS) })
      expect(report.findings).toContainEqual({ kind: 'OPEN_RESERVATION', id: 'open', isDue: false, severity: 'note' })
    }
    const [early] = await verifyFolder(data)
    expect(early).toMatchObject({ ok: true, findings: [{ kind: 'OPEN_RESERVATION', severity: 'note' }] })
    const [late] = await verifyFolder(data, { clock: clockAt(Date.now() + 16 * MINUTE_MS) })
    expect(late).toMatchObject({ verdict: 'warning', findings: [{ kind: 'OPEN_RESERVATION', severity: 'warning' }] })
  })

  it('names a settlement without a decision, but not a second one for the same call', async () => {
    const data = dataFolder()
    await using log = await openLog(data)
    await log.append(decision('a'))
    await log.append(settlement('a'))
    await log.append({ ...settlement('a'), id: 'again' })
    await log.append(settlement('nothing'))
    const { findings } = await verifyLog(log.dir)
    expect(findings.filter(({ kind }) => kind !== 'UNSIGNED_TAIL')).toEqual([
      { kind: 'SETTLE_WITHOUT_DECISION', id: 'nothing', severity: 'warning' },
    ])
  })

  it('matches a call that one process admitted and another settled', async () => {
    const data = dataFolder()
    await using first = await openLog(data)
    await using second = await openLog(data)
    await first.append(decision('a'))
    await second.append(settlement('a'))
    const reports = await verifyFolder(data)
    expect(reports.flatMap(({ findings }) => findings).filter(({ kind }) => kind !== 'UNSIGNED_TAIL')).toEqual([])
    expect((await verifyLog(second.dir)).findings).toContainEqual(
      expect.objectContaining({ kind: 'SETTLE_WITHOUT_DECISION', id: 'a' }),
    )
  })

  it('never goes back in time, whatever the clock does', async () => {
    const data = dataFolder()
    let timeMs = 1_800_000_000_000
    await using log = await openLog(data, { clock: { nowMs: () => (timeMs -= 1000) } })
    const first = await log.append(decision('a', 'refuse'))
    const second = await log.append(decision('b', 'refuse'))
    expect(second.timeMs).toBe(first.timeMs)
    expect((await verifyLog(log.dir)).verdict).toBe('ok')
  })
})
