import { cpSync, existsSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { describe, expect, it, onTestFinished, vi } from 'vitest'
import { CheckpointSigner } from '../../../src/adapters/audit-log/checkpoint-signer.ts'
import { claimLogFolder } from '../../../src/adapters/audit-log/log-folder.ts'
import { verifyFolder } from '../../../src/adapters/audit-log/verify.ts'
import { EMPTY_FRONTIER, appendLeaf, leafHash } from '../../../src/domain/audit/merkle.ts'
import type { Frontier } from '../../../src/domain/audit/merkle.ts'
import { closedLog, dataFolder, decision, editLines, onlyLog, openLog, segmentsOf, settlement } from './audit-folder.ts'

async function soundLog(count = 3) {
  const data = dataFolder()
  const dir = await closedLog(data, count)
  return { data, dir, name: basename(dir) }
}

function keyFiles(data: string, name: string): readonly string[] {
  return readdirSync(join(data, 'keys'))
    .filter((file) => file.startsWith(name))
    .map((file) => join(data, 'keys', file))
}

/** What the operator of a lost log is told to do with its keys. */
function moveKeysAway(data: string, name: string): void {
  mkdirSync(join(data, 'lost'))
  for (const path of keyFiles(data, name)) renameSync(path, join(data, 'lost', basename(path)))
}

/** As if a process had died while it made the log. */
function emptied(dir: string): void {
  for (const file of ['log.json', 'checkpoint', 'checkpoints.notes']) rmSync(join(dir, file))
  for (const path of readdirSync(join(dir, 'seg'))) rmSync(join(dir, 'seg', path))
}

const signedSizeOf = (path: string) => Number(readFileSync(path, 'utf8').split('\n')[1])

describe('a log whose key is here', () => {
  it.each([
    ['its folder', (dir: string) => rmSync(dir, { recursive: true })],
    ['its description', (dir: string) => rmSync(join(dir, 'log.json'))],
    ['all it held but empty folders', emptied],
    ['the folder of all logs', (dir: string) => rmSync(join(dir, '..'), { recursive: true })],
  ])('is missed when %s is gone: found by verification, and nothing starts', async (_name, remove) => {
    const { data, dir, name } = await soundLog()
    remove(dir)
    const reports = await verifyFolder(data)
    expect(reports).toMatchObject([{ log: name, ok: false, verdict: 'tampered' }])
    expect(reports[0]?.findings).toContainEqual({ kind: 'LOG_MISSING', log: name, severity: 'tampered' })
    const before = existsSync(join(data, 'audit')) && readdirSync(join(data, 'audit'))
    await expect(openLog(data)).rejects.toThrow(
      `is gone or has lost its log.json; restore it from a backup, or move ${name}.* out of ${join(data, 'keys')}`,
    )
    expect(existsSync(join(data, 'audit')) && readdirSync(join(data, 'audit'))).toEqual(before)
  })

  it('is named beside the logs that are there, also when the key of one of them is given', async () => {
    const data = dataFolder()
    await using first = await openLog(data)
    await using second = await openLog(data)
    const { vkey } = second.keys()
    rmSync(first.dir, { recursive: true })
    const named = async (key?: string) => {
      const reports = await verifyFolder(data, key === undefined ? {} : { vkey: key })
      return reports
        .map(({ log, verdict }) => ({ log, verdict }))
        .toSorted((a, b) => a.verdict.localeCompare(b.verdict))
    }
    const expected = [
      { log: second.name, verdict: 'ok' },
      { log: first.name, verdict: 'tampered' },
    ]
    expect(await named()).toEqual(expected)
    expect(await named(vkey)).toEqual(expected)
    expect(await named(first.keys().vkey)).toEqual(expected)
    await expect(openLog(data)).rejects.toThrow(`${first.dir}: this log was written here and is gone`)
  })

  it('is lost by declaration once its keys are moved away: a new log begins', async () => {
    const { data, dir, name } = await soundLog()
    rmSync(dir, { recursive: true })
    moveKeysAway(data, name)
    await using log = await openLog(data)
    expect(log.recovered.created).toBe(true)
    expect(await verifyFolder(data)).toMatchObject([{ log: log.name, verdict: 'ok' }])
  })

  it('is not asked for in a copy that has no keys, such as an auditor gets', async () => {
    const { data } = await soundLog()
    const copy = dataFolder()
    cpSync(join(data, 'audit'), join(copy, 'audit'), { recursive: true })
    expect(await verifyFolder(copy)).toMatchObject([{ verdict: 'ok', findings: [] }])
  })

  it('is never missed because a process died while it made its log', async () => {
    const made = dataFolder()
    const options = { auditDir: join(made, 'audit'), keysDir: join(made, 'keys'), deployment: 'gw.test', nowMs: 0 }
    const { lock, dir, name } = claimLogFolder(options)
    lock[Symbol.dispose]()
    const [log, receipt] = ['log', 'receipt'].map((use) => ({
      named: join(made, 'keys', `${name}.${use}.pem`),
      unnamed: join(made, 'keys', `${name}.${use}.new.pem`),
    }))
    // Before the description is there, the key has no name yet.
    const died = (named: readonly { readonly named: string; readonly unnamed: string }[], hasDescription: boolean) => {
      const data = dataFolder()
      cpSync(made, data, { recursive: true })
      for (const key of named)
        renameSync(join(data, 'keys', basename(key.named)), join(data, 'keys', basename(key.unnamed)))
      if (!hasDescription) rmSync(join(data, 'audit', basename(dir), 'log.json'))
      return data
    }
    for (const unnamed of [[log!, receipt!], [log!]]) {
      const data = died(unnamed, true)
      await using taken = await openLog(data)
      expect(taken.name).toBe(name)
      expect(keyFiles(data, name).filter((path) => path.includes('.new.'))).toEqual([])
      expect((await verifyFolder(data)).map(({ verdict }) => verdict)).toEqual(['ok'])
    }
    const data = died([log!, receipt!], false)
    await using begun = await openLog(data)
    expect(begun.name).not.toBe(name)
    expect(await verifyFolder(data)).toMatchObject([{ log: begun.name, verdict: 'ok' }])
  })
})

describe('a folder that is put back as it was earlier', () => {
  /** A log that was closed, went on and was closed again, in its folder as it was at the first close. */
  async function rolledBack() {
    const { data, dir, name } = await soundLog(2)
    const older = join(data, 'older')
    cpSync(dir, older, { recursive: true })
    await closedLog(data, 2)
    const newest = join(data, 'newest')
    renameSync(dir, newest)
    renameSync(older, dir)
    return { data, dir, name, newest, signedFile: join(data, 'keys', `${name}.signed`) }
  }

  it('is found by verification, and nothing starts on it', async () => {
    const { data, dir, signedFile } = await rolledBack()
    const [report] = await verifyFolder(data)
    expect(report?.verdict).toBe('tampered')
    expect(report?.findings).toEqual([{ kind: 'ROLLED_BACK', have: 7, signed: 13, severity: 'tampered' }])
    await expect(openLog(data)).rejects.toThrow(`${dir}: has 7 records but 13 were signed, as ${signedFile} says`)
  })

  it('is good again when the newest copy is put back', async () => {
    const { data, dir, newest } = await rolledBack()
    rmSync(dir, { recursive: true })
    renameSync(newest, dir)
    expect(await verifyFolder(data)).toMatchObject([{ verdict: 'ok', size: 13 }])
    await using log = await openLog(data)
    expect(log.recovered.previousSize).toBe(13)
  })

  it('is found when records were put behind it, and when all that was signed is gone from it', async () => {
    const { data, dir, newest } = await rolledBack()
    // As many records as were signed, the last ones without a signature of this folder.
    const [older, newer] = [segmentsOf(dir)[0]!, segmentsOf(newest)[0]!]
    const genuine = readFileSync(newer, 'utf8').split('\n').slice(0, -1)
    editLines(older, (lines) => [...lines, ...genuine.slice(lines.length).map((line) => line.replace('acme', 'evil'))])
    expect((await verifyFolder(data))[0]?.findings).toContainEqual(
      expect.objectContaining({ kind: 'HASHES_DO_NOT_MATCH_CHECKPOINT', severity: 'tampered' }),
    )
    await expect(openLog(data)).rejects.toThrow('the first 13 records are not those that were signed')
    for (const file of ['checkpoint', 'checkpoints.notes']) rmSync(join(dir, file))
    rmSync(older)
    expect((await verifyFolder(data))[0]?.findings).toContainEqual(
      expect.objectContaining({ kind: 'TRUNCATED', have: 0, signed: 13 }),
    )
    await expect(openLog(data)).rejects.toThrow('has 0 records but 13 were signed')
  })

  it('is not suspected when only its checkpoints are older: every signed record is there', async () => {
    const { data, dir, newest } = await rolledBack()
    for (const file of ['seg', 'hash']) cpSync(join(newest, file), join(dir, file), { recursive: true })
    const [report] = await verifyFolder(data)
    expect(report?.findings).toEqual([{ kind: 'UNSIGNED_TAIL', n: 6, severity: 'note' }])
    await using log = await openLog(data)
    expect(log.recovered.previousSize).toBe(13)
  })

  it('is not noticed without the file beside the keys, which earlier folders lack', async () => {
    const { data, signedFile } = await rolledBack()
    rmSync(signedFile)
    expect(await verifyFolder(data)).toMatchObject([{ verdict: 'ok' }])
    await using log = await openLog(data)
    expect(signedSizeOf(signedFile)).toBe(8)
    expect(log.recovered.previousSize).toBe(7)
  })

  it('cannot be excused by a file that the key of the log did not sign', async () => {
    const { data, name, signedFile } = await rolledBack()
    const note = readFileSync(signedFile, 'utf8')
    for (const forged of [note.replace('\n13\n', '\n7\n'), '', 'nonsense']) {
      writeFileSync(signedFile, forged)
      const [report] = await verifyFolder(data)
      expect(report?.findings).toMatchObject([{ file: `${name}.signed`, severity: 'tampered' }])
      await expect(openLog(data)).rejects.toThrow(signedFile)
    }
  })
})

describe('what was signed, as it is kept beside the keys', () => {
  it('is there from the first start, is not written with every checkpoint, and is exact after a close', async () => {
    const data = dataFolder()
    const log = await openLog(data, { checkpointMs: 1 })
    const signedFile = join(data, 'keys', `${log.name}.signed`)
    expect(signedSizeOf(signedFile)).toBe(2)
    for (let i = 0; i < 20; i += 1) await log.append(decision(`d-${i}`, 'refuse'))
    expect(signedSizeOf(join(log.dir, 'checkpoint'))).toBeGreaterThan(2)
    expect(signedSizeOf(signedFile)).toBe(2)
    await log[Symbol.asyncDispose]()
    expect(signedSizeOf(signedFile)).toBe(23)
  })

  it('is never ahead of the folder of the log', () => {
    const data = dataFolder()
    const folder = claimLogFolder({
      auditDir: join(data, 'audit'),
      keysDir: join(data, 'keys'),
      deployment: 'gw.test',
      nowMs: 0,
    })
    using _lock = folder.lock
    const signer = new CheckpointSigner(folder, 0)
    const first = appendLeaf(EMPTY_FRONTIER, leafHash(Buffer.from('a')))
    signer.sign(first, { isKept: true })
    // What is in the way of the checkpoint is not in the way of the file beside the keys.
    mkdirSync(join(folder.dir, 'checkpoint.tmp'))
    expect(() => signer.sign(appendLeaf(first, leafHash(Buffer.from('b'))), { isKept: true })).toThrow('EISDIR')
    expect(signedSizeOf(folder.largestSignedFile)).toBe(1)
  })

  it('is at most ten seconds older than the checkpoint of a log that grows', () => {
    vi.useFakeTimers({ toFake: ['performance'] })
    onTestFinished(() => void vi.useRealTimers())
    const data = dataFolder()
    const folder = claimLogFolder({
      auditDir: join(data, 'audit'),
      keysDir: join(data, 'keys'),
      deployment: 'gw.test',
      nowMs: 0,
    })
    using _lock = folder.lock
    const signer = new CheckpointSigner(folder, 0)
    let frontier: Frontier = EMPTY_FRONTIER
    const kept: number[] = []
    for (let second = 0; second <= 21; second += 1) {
      frontier = appendLeaf(frontier, leafHash(Buffer.from(`record ${second}`)))
      signer.sign(frontier, { isKept: false })
      kept.push(signedSizeOf(join(data, 'keys', `${folder.name}.signed`)))
      vi.advanceTimersByTime(1000)
    }
    expect([...new Set(kept)]).toEqual([1, 11, 21])
    expect(kept.indexOf(11)).toBe(10)
  })
})

describe('files of a log that are exchanged on disk', () => {
  async function segmented() {
    const data = dataFolder()
    await using log = await openLog(data, { segmentBytesMax: 900 })
    for (let i = 0; i < 12; i += 1) await log.append(decision(`d-${i}`))
    for (let i = 0; i < 12; i += 1) await log.append(settlement(`d-${i}`))
    return { data, dir: log.dir, segments: segmentsOf(log.dir) }
  }

  const tampered = async (data: string) => {
    const [report] = await verifyFolder(data)
    expect(report?.verdict).toBe('tampered')
    return report?.findings.filter(({ severity }) => severity === 'tampered') ?? []
  }

  it('are found when two sealed segments changed places, with their sidecars or without', async () => {
    for (const endings of [['.jsonl'], ['.jsonl', '.sum']]) {
      const { data, segments } = await segmented()
      for (const ending of endings) {
        const [a, b] = [segments[1]!, segments[2]!].map((path) => path.replace('.jsonl', ending))
        renameSync(a!, `${a}.aside`)
        renameSync(b!, a!)
        renameSync(`${a}.aside`, b!)
      }
      const findings = await tampered(data)
      expect(findings.map(({ kind }) => kind)).toContain('REORDERED')
      const moved = new Set([segments[1]!, segments[2]!].map((path) => Number.parseInt(basename(path), 10)))
      expect(findings.some((finding) => 'seq' in finding && moved.has(finding.seq))).toBe(true)
      await expect(openLog(data)).rejects.toThrow('the log was changed')
    }
  })

  it('are found when a segment in the middle is gone', async () => {
    const { data, segments } = await segmented()
    const [from, after] = [segments[2]!, segments[3]!].map((path) => Number.parseInt(basename(path), 10))
    rmSync(segments[2]!)
    expect(await tampered(data)).toMatchObject([{ kind: 'MISSING', from, to: after! - 1 }])
  })

  it.each([
    ['the open calls', { openDecisions: [] }],
    ['the length', { bytes: 1 }],
    ['the time of the last record', { lastTimeMs: 1 }],
    ['the number of records', { size: 3 }],
    ['the tree', { peaks: [Buffer.alloc(32).toString('base64')] }],
    ['its form', { openDecisions: 'none' }],
  ])('are found when a sidecar says something else of %s', async (_name, change) => {
    const { data, segments } = await segmented()
    const path = segments[0]!.replace('.jsonl', '.sum')
    const sum: object = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...sum, ...change }))
    expect(await tampered(data)).toMatchObject([{ kind: 'WRONG_SUM', file: basename(path) }])
  })

  it('are not blamed on a sidecar when a record is at fault, nor missed when a sidecar is gone', async () => {
    const { data, segments } = await segmented()
    rmSync(segments[1]!.replace('.jsonl', '.sum'))
    expect((await verifyFolder(data))[0]).toMatchObject({ verdict: 'ok', findings: [] })
    editLines(segments[0]!, (lines) => lines.with(2, lines[2]!.replace('acme', 'evil')))
    expect(await tampered(data)).toMatchObject([{ kind: 'ALTERED', seq: 2 }])
  })

  it.each([
    ['is no key', (vkey: string) => vkey.slice(0, -2)],
    ['is not that of its name', (vkey: string) => vkey.replace('gw.test', 'gw.evil')],
  ])('are found when the description names a verification key that %s', async (_name, change) => {
    const { data, dir } = await soundLog()
    const path = join(dir, 'log.json')
    const description: { vkey: string } = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...description, vkey: change(description.vkey) }))
    expect(await tampered(data)).toMatchObject([{ kind: 'UNKNOWN_KEY', file: 'log.json' }])
    await expect(openLog(data)).rejects.toThrow(path)
  })

  it('are found when the description names the key of another log, even if every file was signed anew with it', async () => {
    const { data, dir, name } = await soundLog()
    const forger = dataFolder()
    mkdirSync(join(forger, 'audit'))
    const forged = await closedLog(forger, 2)
    const foreign: { origin: string; vkey: string } = JSON.parse(readFileSync(join(forged, 'log.json'), 'utf8'))
    const path = join(dir, 'log.json')
    const own: object = JSON.parse(readFileSync(path, 'utf8'))
    writeFileSync(path, JSON.stringify({ ...own, origin: foreign.origin, vkey: foreign.vkey }))
    expect((await tampered(data)).map(({ kind }) => kind)).toContain('UNKNOWN_KEY')
    rmSync(dir, { recursive: true })
    cpSync(forged, dir, { recursive: true })
    expect(await tampered(data)).toMatchObject([{ kind: 'UNKNOWN_KEY', file: `${name}.signed` }])
    await expect(openLog(data)).rejects.toThrow('vkey is not that of the key')
    expect(basename(onlyLog(data))).toBe(name)
  })
})
