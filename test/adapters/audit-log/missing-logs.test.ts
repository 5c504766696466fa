import { cpSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { verifyFolder } from '../../../src/adapters/audit-log/verify.ts'
import { dataFolder, decision, openLog } from './audit-folder.ts'

async function writtenLog(): Promise<{ data: string; dir: string; name: string }> {
  const data = dataFolder()
  await using log = await openLog(data)
  await log.append(decision('a'))
  return { data, dir: log.dir, name: log.name }
}

describe('a log that was written and is gone', () => {
  it.each([
    ['its whole folder', (dir: string) => dir],
    ['the file that describes it', (dir: string) => join(dir, 'log.json')],
  ])('is found by verification, and nothing starts beside it: %s', async (_case, part) => {
    const { data, dir, name } = await writtenLog()
    rmSync(part(dir), { recursive: true })
    const reports = await verifyFolder(data)
    expect(reports).toMatchObject([{ log: name, verdict: 'tampered', findings: [{ kind: 'LOG_MISSING', log: name }] }])
    await expect(openLog(data)).rejects.toThrow('is gone or has lost its log.json')
  })

  it('is declared lost by moving its keys away', async () => {
    const { data, dir, name } = await writtenLog()
    rmSync(dir, { recursive: true })
    for (const use of ['log', 'receipt']) rmSync(join(data, 'keys', `${name}.${use}.pem`))
    await using log = await openLog(data)
    expect(log.name).not.toBe(name)
  })

  it('is not looked for in a copy without keys, which is what auditors get', async () => {
    const { data } = await writtenLog()
    const copy = dataFolder()
    cpSync(join(data, 'audit'), join(copy, 'audit'), { recursive: true })
    expect(await verifyFolder(copy)).toMatchObject([{ verdict: 'ok' }])
  })
})
