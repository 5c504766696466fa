import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { describe, expect, it, onTestFinished } from 'vitest'
import { realDisk } from '../../../src/adapters/audit-log/disk.ts'
import type { Disk } from '../../../src/adapters/audit-log/disk.ts'
import { claimLogFolder } from '../../../src/adapters/audit-log/log-folder.ts'
import { LogWriter } from '../../../src/adapters/audit-log/log-writer.ts'
import type { Durability, Entry } from '../../../src/adapters/audit-log/messages.ts'
import { recoverLog } from '../../../src/adapters/audit-log/recover.ts'
import { verifyLog } from '../../../src/adapters/audit-log/verify.ts'
import { recordParts } from '../../../src/domain/audit/audit-record.ts'
import { dataFolder, decision, openLog, segmentsOf } from './audit-folder.ts'

/** A real disk whose next calls can be made to fail as disks do. */
function faultyDisk() {
  const faults: { syncs: ('fails' | 'works')[]; room: number; truncate: number } = {
    syncs: [],
    room: Number.POSITIVE_INFINITY,
    truncate: 0,
  }
  const fail = (code: string): never => {
    throw Object.assign(new Error(`${code}: simulated`), { code })
  }
  const disk: Disk = {
    ...realDisk,
    write(fd, bytes, position) {
      if (bytes.length <= faults.room) return realDisk.write(fd, bytes, position)
      realDisk.write(fd, bytes.subarray(0, faults.room), position)
      return fail('ENOSPC')
    },
    sync(fd) {
      if (faults.syncs.shift() === 'fails') fail('EIO')
      realDisk.sync(fd)
    },
    truncate(fd, length) {
      if (faults.truncate > 0) {
        faults.truncate -= 1
        fail('EIO')
      }
      realDisk.truncate(fd, length)
    },
  }
  return { disk, faults }
}

async function openWriter(durability: Durability = 'disk') {
  const data = dataFolder()
  const options = { auditDir: join(data, 'audit'), keysDir: join(data, 'keys'), deployment: 'gw.test', nowMs: 1 }
  const folder = claimLogFolder(options)
  const { disk, faults } = faultyDisk()
  const state = await recoverLog(folder)
  const writer = new LogWriter({ folder, state, durability, segmentBytesMax: 1_000_000, disk })
  onTestFinished(() => {
    writer[Symbol.dispose]()
    folder.lock[Symbol.dispose]()
  })
  return { writer, faults, folder }
}

function entries(...ids: readonly string[]): readonly Entry[] {
  return ids.map((id) => ({ parts: recordParts(decision(id)), settles: { kind: 'neither' }, receipt: undefined }))
}

function idsIn(dir: string): readonly string[] {
  return segmentsOf(dir).flatMap((path) =>
    readFileSync(path, 'utf8')
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => {
        const { id }: { id: string } = JSON.parse(line)
        return id
      }),
  )
}

describe('a full disk', () => {
  it('leaves nothing of a rejected batch behind, wherever the write stopped, and takes the next one', async () => {
    const { writer, faults, folder } = await openWriter()
    writer.append(entries('a', 'b'), 1)
    for (const room of [0, 1, 100, 400]) {
      faults.room = room
      expect(() => writer.append(entries('c', 'd'), 2)).toThrow('ENOSPC')
      expect(writer.state).toBe('full')
      expect(idsIn(folder.dir)).toEqual(['a', 'b'])
    }
    faults.room = Number.POSITIVE_INFINITY
    expect(writer.append(entries('e'), 3).firstSeq).toBe(2)
    expect(writer.state).toBe('open')
    writer.checkpoint({ isKept: true })
    expect(idsIn(folder.dir)).toEqual(['a', 'b', 'e'])
    expect(await verifyLog(folder.dir)).toMatchObject({ verdict: 'ok', size: 3, signed: 3 })
  })

  it('is noticed to be good again by a probe that leaves no trace', async () => {
    const { writer, faults, folder } = await openWriter()
    writer.append(entries('a'), 1)
    faults.room = 1000
    writer.append(entries('b'), 1)
    faults.room = 10
    expect(() => writer.append(entries('c'), 1)).toThrow('ENOSPC')
    faults.room = 1000
    expect(() => writer.probe()).toThrow('ENOSPC')
    expect(writer.state).toBe('full')
    faults.room = Number.POSITIVE_INFINITY
    writer.probe()
    expect(writer.state).toBe('open')
    expect(idsIn(folder.dir)).toEqual(['a', 'b'])
  })

  it('ends the log for good when a failed write cannot be cut off', async () => {
    const { writer, faults } = await openWriter()
    writer.append(entries('a'), 1)
    faults.room = 10
    faults.truncate = 1
    expect(() => writer.append(entries('b'), 1)).toThrow('could not be cut off')
    expect(writer.state).toBe('failed')
    faults.room = Number.POSITIVE_INFINITY
    expect(() => writer.append(entries('c'), 1)).toThrow('the log failed')
  })
})

describe('a failed sync', () => {
  it.each(['disk', 'process'] as const)(
    'is survived by writing the records again into a new segment (%s)',
    async (kind) => {
      const { writer, faults, folder } = await openWriter(kind)
      writer.append(entries('a'), 1)
      writer.sync()
      writer.append(entries('b'), 1)
      faults.syncs = ['fails']
      writer.append(entries('c', 'd'), 1)
      writer.sync()
      writer.append(entries('e'), 1)
      writer.checkpoint({ isKept: true })
      expect(segmentsOf(folder.dir)).toHaveLength(2)
      expect(idsIn(folder.dir)).toEqual(['a', 'b', 'c', 'd', 'e'])
      expect(await verifyLog(folder.dir)).toMatchObject({ verdict: 'ok', size: 5, signed: 5 })
    },
  )

  it('of the first records of a segment gives that segment up', async () => {
    const { writer, faults, folder } = await openWriter()
    faults.syncs = ['fails']
    writer.append(entries('a'), 1)
    expect(segmentsOf(folder.dir)).toHaveLength(1)
    expect(idsIn(folder.dir)).toEqual(['a'])
  })

  it.each([
    ['of what is left of the old segment', ['fails', 'fails'] as const],
    ['of the new segment', ['fails', 'works', 'fails'] as const],
  ])('and then one %s end the log for good, without what was not acknowledged', async (_name, syncs) => {
    const { writer, faults, folder } = await openWriter()
    writer.append(entries('a'), 1)
    writer.checkpoint({ isKept: true })
    faults.syncs = [...syncs]
    expect(() => writer.append(entries('b'), 1)).toThrow('failed to sync twice in a row')
    expect(writer.state).toBe('failed')
    expect(() => writer.append(entries('c'), 1)).toThrow('the log failed')
    expect(idsIn(folder.dir)).toEqual(['a'])
    expect((await recoverLog(folder)).frontier.size).toBe(1)
  })

  it('never leaves a checkpoint ahead of the disk', async () => {
    const { writer, faults, folder } = await openWriter('process')
    writer.append(entries('a'), 1)
    writer.checkpoint({ isKept: true })
    writer.append(entries('b'), 1)
    faults.syncs = ['fails', 'fails']
    expect(() => writer.checkpoint({ isKept: true })).toThrow('twice')
    expect(readFileSync(join(folder.dir, 'checkpoint'), 'utf8').split('\n')[1]).toBe('1')
  })
})

describe('a process that may not write any more', () => {
  it('loses nothing that it acknowledged, rejects the rest, and says that it is not writable', async () => {
    const data = dataFolder()
    const script = join(import.meta.dirname, 'fill-disk.ts')
    // The limit is on the size of each file the process writes: 512 blocks of 1 KiB.
    const child = spawn('bash', ['-c', `ulimit -f 512; exec "$0" "$1" "$2"`, process.execPath, script, data])
    const [out, errors] = await Promise.all([text(child.stdout), text(child.stderr)])
    expect(errors).toBe('')
    const { acked, rejected, writable }: { acked: string[]; rejected: number; writable: boolean } = JSON.parse(out)
    expect(rejected).toBeGreaterThan(0)
    expect(acked.length).toBeGreaterThan(100)
    expect(writable).toBe(false)
    await using log = await openLog(data)
    const ids: string[] = []
    for await (const record of log.records()) if (record.type === 'decision') ids.push(record.id)
    expect(ids).toEqual(acked)
    expect((await verifyLog(log.dir)).verdict).toBe('ok')
  })
})

describe('the disk', () => {
  it('writes at the place it is told and makes no file twice', () => {
    const path = join(dataFolder(), 'file')
    const fd = realDisk.open(path, 'new')
    realDisk.write(fd, Buffer.from('abc'), 2)
    realDisk.close(fd)
    expect(readFileSync(path)).toEqual(Buffer.from('\0\0abc'))
    expect(() => realDisk.open(path, 'new')).toThrow('EEXIST')
    closeSync(openSync(path, 'r'))
  })
})
