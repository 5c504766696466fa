import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verifyFolder, verifyLog } from '../../../src/adapters/audit-log/verify.ts'
import { dataFolder, decision, openLog } from './audit-folder.ts'

/** Starts a process that appends without end; resolves to the name of its log. */
async function startAppending(data: string, prefix: string) {
  const script = join(import.meta.dirname, 'append-forever.ts')
  const child = spawn(process.execPath, [script, data, prefix], { stdio: ['ignore', 'pipe', 'inherit'] })
  let printed = ''
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => (printed += chunk))
  const untilLines = async (count: number) => {
    while (printed.split('\n').length < count) await once(child.stdout, 'data')
  }
  await untilLines(2)
  /** Whole lines only: the last may be cut by the kill. */
  const lines = () => printed.split('\n').slice(0, -1)
  const kill = async () => {
    child.kill('SIGKILL')
    await once(child, 'close')
    return lines().slice(1)
  }
  return { name: lines()[0]!.replace('log ', ''), untilLines, kill }
}

describe('a process that is killed', () => {
  it('loses no record that it acknowledged, and its log is continued, sound', async () => {
    const data = dataFolder()
    const acked: string[] = []
    for (const [trial, lines] of [700, 150, 1500].entries()) {
      const child = await startAppending(data, `trial-${trial}`)
      await child.untilLines(lines)
      acked.push(...(await child.kill()))
      const reports = await verifyFolder(data)
      expect(reports.map(({ verdict }) => verdict)).toEqual(['ok'])
    }
    await using log = await openLog(data)
    expect(log.recovered.clean).toBe(false)
    const ids = new Set<string>()
    for await (const { id } of log.records()) ids.add(id)
    expect(acked.filter((id) => !ids.has(id))).toEqual([])
    expect(acked.length).toBeGreaterThan(2000)
    expect(readdirSync(join(data, 'audit'))).toEqual([log.name])
  })
})

describe('two processes on one data folder', () => {
  it('write to a log each, and the log of a killed one is taken up by the next', async () => {
    const data = dataFolder()
    const child = await startAppending(data, 'other')
    {
      await using own = await openLog(data)
      expect(own.name).not.toBe(child.name)
      await own.append(decision('own'))
      await child.untilLines(200)
      const reports = await verifyFolder(data)
      expect(reports.map(({ log }) => log).toSorted()).toEqual([own.name, child.name].toSorted())
      expect(reports.map(({ verdict }) => verdict)).toEqual(['ok', 'ok'])
    }
    await child.kill()
    await using first = await openLog(data)
    await using second = await openLog(data)
    expect([first.name, second.name].toSorted()).toEqual(readdirSync(join(data, 'audit')).toSorted())
    expect(new Set([first.recovered.clean, second.recovered.clean])).toEqual(new Set([true, false]))
  })
})

describe('a process that must be alone on its data folder', () => {
  it('does not start beside another, and starts once that one is gone', async () => {
    const data = dataFolder()
    const child = await startAppending(data, 'other')
    await child.untilLines(1)
    await expect(openLog(data, { alone: true })).rejects.toThrow('another gateway writes to this data folder')
    expect(readdirSync(join(data, 'audit'))).toEqual([child.name])
    await child.kill()
    await using own = await openLog(data, { alone: true })
    expect(own.name).toBe(child.name)
  })
})

describe('the thread that writes', () => {
  it('rejects everything when it dies, and says that the log is not writable', async () => {
    let isBroken = false
    // A time that is no number is a defect which no check foresees: it throws in the thread.
    const clock = { nowMs: () => (isBroken ? (1n as unknown as number) : Date.now()) }
    const log = await openLog(dataFolder(), { clock })
    await log.append(decision('a'))
    isBroken = true
    const pending = [log.append(decision('b')), log.append(decision('c'))]
    const results = await Promise.allSettled(pending)
    expect(results.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
    expect(log.writable()).toBe(false)
    await expect(log.append(decision('d'))).rejects.toThrow('the thread that writes the log failed')
    isBroken = false
    await log[Symbol.asyncDispose]()
    expect(await verifyLog(log.dir)).toMatchObject({ verdict: 'ok', size: 3 })
  })
})
