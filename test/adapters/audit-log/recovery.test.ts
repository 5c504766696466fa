import { copyFileSync, cpSync, existsSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { claimLogFolder } from '../../../src/adapters/audit-log/log-folder.ts'
import { recoverLog } from '../../../src/adapters/audit-log/recover.ts'
import { verifyLog } from '../../../src/adapters/audit-log/verify.ts'
import type { AuditRecord } from '../../../src/domain/audit/audit-record.ts'
import { closedLog, dataFolder, decision, editLines, onlyLog, openLog, segmentsOf, settlement } from './audit-folder.ts'

async function recordsOf(log: { records(): AsyncIterable<AuditRecord> }): Promise<readonly AuditRecord[]> {
  const records: AuditRecord[] = []
  for await (const record of log.records()) records.push(record)
  return records
}

/** A log whose writer was never closed: its files as they are while it is open, and the records that were acknowledged. */
async function killedLog(count: number): Promise<{ data: string }> {
  const [live, data] = [dataFolder(), dataFolder()]
  await using log = await openLog(live, { checkpointMs: 3_600_000 })
  for (let i = 0; i < count; i += 1) await log.append(decision(`d-${i}`))
  cpSync(live, data, { recursive: true })
  return { data }
}

describe('a log that is opened again', () => {
  it('goes on where it was closed', async () => {
    const data = dataFolder()
    await closedLog(data, 3)
    await using log = await openLog(data)
    expect(log.recovered).toEqual({ created: false, clean: true, tornBytes: 0, previousSize: 9, openDecisions: [] })
    const records = await recordsOf(log)
    expect(records.map(({ seq }) => seq)).toEqual(records.map((_, i) => i))
    expect(records.map(({ type }) => type).filter((type) => !['decision', 'settle'].includes(type))).toEqual([
      'genesis',
      'open',
      'close',
      'open',
    ])
  })

  it('says after a kill that it was not closed, and which decisions are not settled', async () => {
    const [live, data] = [dataFolder(), dataFolder()]
    {
      await using log = await openLog(live)
      await Promise.all(['a', 'b', 'c'].map((id) => log.append(decision(id))))
      await log.append(decision('d', 'refuse'))
      await log.append(settlement('b'))
      cpSync(live, data, { recursive: true })
    }
    await using log = await openLog(data)
    expect(log.recovered).toMatchObject({ clean: false, tornBytes: 0, previousSize: 7, openDecisions: ['a', 'c'] })
    const recover = (await recordsOf(log)).find(({ type }) => type === 'recover')
    expect(recover).toMatchObject({ seq: 7, torn_bytes: 0, prev_size: 7, clean: false })
  })

  it('cuts an unfinished last record at whatever byte the write stopped, and keeps all before it', async () => {
    const { data } = await killedLog(3)
    const [path] = segmentsOf(onlyLog(data))
    const bytes = readFileSync(path!)
    const lastStart = bytes.lastIndexOf(10, bytes.length - 2) + 1
    const options = { auditDir: join(data, 'audit'), keysDir: join(data, 'keys'), deployment: 'gw.test', nowMs: 0 }
    for (let end = lastStart; end < bytes.length; end += 1) {
      writeFileSync(path!, bytes.subarray(0, end))
      const folder = claimLogFolder(options)
      using _lock = folder.lock
      const state = await recoverLog(folder)
      expect(state.tornBytes).toBe(end - lastStart)
      expect(state.frontier.size).toBe(4)
      expect(state.openDecisions.list()).toEqual(['d-0', 'd-1'])
      expect(readFileSync(path!)).toEqual(bytes.subarray(0, lastStart))
    }
    writeFileSync(path!, bytes.subarray(0, lastStart + 9))
    await using log = await openLog(data)
    expect((await recordsOf(log)).find(({ type }) => type === 'recover')).toMatchObject({ torn_bytes: 9, prev_size: 4 })
    expect((await verifyLog(log.dir)).verdict).toBe('ok')
  })

  it('refuses to start when a bad line has good ones after it, and changes nothing', async () => {
    const { data } = await killedLog(4)
    const [path] = segmentsOf(onlyLog(data))
    editLines(path!, (lines) => lines.with(3, lines[3]!.slice(0, -5)))
    const before = readFileSync(path!)
    await expect(openLog(data)).rejects.toThrow('record 3 is unreadable but records after it are not')
    expect(readFileSync(path!)).toEqual(before)
  })

  it('refuses to start below its checkpoint', async () => {
    const data = dataFolder()
    const dir = await closedLog(data, 3)
    editLines(segmentsOf(dir)[0]!, (lines) => lines.slice(0, -1))
    await expect(openLog(data)).rejects.toThrow('has 8 records but 9 were signed')
  })

  it.each([
    ['a record is another', (lines: readonly string[]) => lines.with(4, lines[4]!.replace('acme', 'evil'))],
    ['a record is missing', (lines: readonly string[]) => lines.toSpliced(4, 1)],
    ['two records changed places', (lines: readonly string[]) => lines.with(4, lines[5]!).with(5, lines[4]!)],
  ])('refuses to start when %s', async (_name, edit) => {
    const data = dataFolder()
    const dir = await closedLog(data, 3)
    editLines(segmentsOf(dir)[0]!, edit)
    await expect(openLog(data)).rejects.toThrow('the log was changed')
  })

  it('refuses to start without its checkpoint once it was used, or with one that its key did not sign', async () => {
    const [data, other] = [dataFolder(), dataFolder()]
    const dir = await closedLog(data, 1)
    copyFileSync(join(await closedLog(other, 1), 'checkpoint'), join(dir, 'checkpoint'))
    await expect(openLog(data)).rejects.toThrow('no signature by')
    rmSync(join(dir, 'checkpoint'))
    await expect(openLog(data)).rejects.toThrow('missing although the log has')
  })

  it('refuses to start without its key, naming the file, and takes no other key', async () => {
    const data = dataFolder()
    const dir = await closedLog(data, 1)
    const key = join(data, 'keys', `${dir.split('/').at(-1)}.log.pem`)
    expect(statSync(key).mode % 0o1000).toBe(0o600)
    const pem = readFileSync(key)
    rmSync(key)
    await expect(openLog(data)).rejects.toThrow(`${key}: the signing key is missing`)
    writeFileSync(key, readFileSync(key.replace('.log.', '.receipt.')))
    await expect(openLog(data)).rejects.toThrow('vkey is not that of the key')
    writeFileSync(key, pem)
    await using log = await openLog(data)
    expect(log.recovered.created).toBe(false)
  })

  it.each([
    ['missing', (path: string) => rmSync(path)],
    ['short', (path: string) => truncateSync(path, 40)],
    ['wrong', (path: string) => writeFileSync(path, Buffer.alloc(9 * 32, 1))],
    ['too long', (path: string) => truncateSync(path, 4000)],
  ])('makes its hash file anew when it is %s', async (_name, damage) => {
    const data = dataFolder()
    const dir = await closedLog(data, 3)
    damage(join(dir, 'hash', 'L0.bin'))
    await (await openLog(data))[Symbol.asyncDispose]()
    expect(await verifyLog(dir)).toMatchObject({ verdict: 'ok', findings: [], size: 11, signed: 11 })
  })
})

describe('a log in several segments', () => {
  async function segmented(data: string): Promise<string> {
    await using log = await openLog(data, { segmentBytesMax: 900 })
    for (let i = 0; i < 12; i += 1) await log.append(decision(`d-${i}`))
    for (let i = 0; i < 11; i += 1) await log.append(settlement(`d-${i}`))
    return log.dir
  }

  it('goes on from the sidecars, and does without them', async () => {
    for (const isWithSums of [true, false]) {
      const data = dataFolder()
      const dir = await segmented(data)
      const segments = segmentsOf(dir)
      expect(segments.length).toBeGreaterThan(4)
      const sums = segments.map((path) => path.replace('.jsonl', '.sum')).filter(existsSync)
      expect(sums).toHaveLength(segments.length - 1)
      if (!isWithSums) for (const path of sums) rmSync(path)
      await using log = await openLog(data, { segmentBytesMax: 900 })
      expect(log.recovered).toMatchObject({ clean: true, previousSize: 26, openDecisions: ['d-11'] })
      await log.append(settlement('d-11'))
      expect((await recordsOf(log)).map(({ seq }) => seq)).toEqual(Array.from({ length: 28 }, (_, i) => i))
      expect((await verifyLog(dir)).verdict).toBe('ok')
    }
  })

  it('makes the hashes of sealed segments anew when the hash file is short', async () => {
    const data = dataFolder()
    const dir = await segmented(data)
    truncateSync(join(dir, 'hash', 'L0.bin'), 7 * 32)
    await (await openLog(data))[Symbol.asyncDispose]()
    const { findings } = await verifyLog(dir)
    expect(findings.map(({ kind }) => kind)).toEqual(['OPEN_RESERVATION'])
  })

  it('does not believe a sidecar beyond what was signed', async () => {
    const data = dataFolder()
    const dir = await segmented(data)
    const segments = segmentsOf(dir)
    // As a kill between two segments leaves it: the last one sealed and signed, no other begun.
    rmSync(segments.at(-1)!)
    const size = Number.parseInt(segments.at(-1)!.split('/').at(-1)!, 10)
    const notes = readFileSync(join(dir, 'checkpoints.notes'), 'utf8')
    const start = notes.indexOf(`gw.test/audit/${dir.split('/').at(-1)}\n${size}\n`)
    const end = notes.indexOf('\n', notes.indexOf('\u2014', start)) + 1
    writeFileSync(join(dir, 'checkpoint'), notes.slice(start, end))
    await expect(openLog(data)).rejects.toThrow(`has ${size} records but 26 were signed`)
    writeFileSync(join(dir, 'checkpoints.notes'), notes.slice(0, end))
    writeFileSync(join(data, 'keys', `${dir.split('/').at(-1)}.signed`), notes.slice(start, end))
    const sumFile = segments.at(-2)!.replace('.jsonl', '.sum')
    const sum: { peaks: string[] } = JSON.parse(readFileSync(sumFile, 'utf8'))
    writeFileSync(sumFile, JSON.stringify({ ...sum, peaks: sum.peaks.map(() => Buffer.alloc(32).toString('base64')) }))
    await expect(openLog(data)).rejects.toThrow('are not those that were signed')
    writeFileSync(sumFile, JSON.stringify(sum))
    await using log = await openLog(data)
    expect(log.recovered).toMatchObject({ clean: false, previousSize: size })
    expect((await verifyLog(dir)).verdict).toBe('ok')
  })

  it('lets go of the sidecar of a segment that grows again', async () => {
    const data = dataFolder()
    const { origin } = await (async () => {
      await using log = await openLog(data, { segmentBytesMax: 900 })
      for (let i = 0; i < 4; i += 1) await log.append(decision(`d-${i}`))
      return log
    })()
    const dir = onlyLog(data)
    // As a kill between two segments leaves it, and then a loss of the hash file.
    const segments = segmentsOf(dir)
    const size = Number.parseInt(segments.at(-1)!.split('/').at(-1)!, 10)
    const notes = readFileSync(join(dir, 'checkpoints.notes'), 'utf8')
    const start = notes.indexOf(`${origin}\n${size}\n`)
    const note = notes.slice(start, notes.indexOf('\n', notes.indexOf('\u2014', start)) + 1)
    writeFileSync(join(dir, 'checkpoint'), note)
    writeFileSync(join(dir, 'checkpoints.notes'), notes.slice(0, start) + note)
    writeFileSync(join(data, 'keys', `${dir.split('/').at(-1)}.signed`), note)
    rmSync(segments.at(-1)!)
    rmSync(join(dir, 'hash', 'L0.bin'))
    for (const previousSize of [size, size + 3]) {
      await using log = await openLog(data)
      expect(log.recovered.previousSize).toBe(previousSize)
      expect(segmentsOf(dir)).toHaveLength(segments.length - 1)
    }
    expect((await verifyLog(dir)).verdict).toBe('ok')
  })

  it('refuses to start when a sealed segment has another length or is gone', async () => {
    const data = dataFolder()
    const [first, second] = segmentsOf(await segmented(data))
    const bytes = readFileSync(second!)
    truncateSync(second!, bytes.length - 10)
    await expect(openLog(data)).rejects.toThrow('its length is not the')
    writeFileSync(second!, bytes)
    rmSync(first!)
    await expect(openLog(data)).rejects.toThrow('expected 0')
  })

  it('names a record that is changed in a sealed segment', async () => {
    const data = dataFolder()
    const dir = await segmented(data)
    const path = segmentsOf(dir)[2]!
    const { seq }: { seq: number } = JSON.parse(readFileSync(path, 'utf8').split('\n')[1]!)
    editLines(path, (lines) => lines.with(1, lines[1]!.replace('acme', 'evil')))
    expect((await verifyLog(dir)).findings).toMatchObject([{ kind: 'ALTERED', seq }, { kind: 'OPEN_RESERVATION' }])
  })

  it('is not verified when a whole segment is gone', async () => {
    const data = dataFolder()
    const dir = await segmented(data)
    const paths = segmentsOf(dir)
    const first = (path: string) => Number.parseInt(path.split('/').at(-1)!, 10)
    rmSync(paths[1]!)
    const { findings } = await verifyLog(dir)
    expect(findings).toContainEqual(
      expect.objectContaining({ kind: 'MISSING', from: first(paths[1]!), to: first(paths[2]!) - 1 }),
    )
  })
})
