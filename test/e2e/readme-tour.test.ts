import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, readFileSync } from 'node:fs'
import { mkdtemp, readdir, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const README = readFileSync(join(ROOT, 'README.md'), 'utf8')

/** What each command of the tour must print, in the order of the page. */
const EXPECTED: readonly RegExp[] = [
  /"object":"chat\.completion"/,
  /event: message_stop/,
  /"rule":"team-month"/,
  /HTTP\/1\.1 429[\s\S]*tollgate-receipt: [\s\S]*"code":"insufficient_quota"/,
  /^eyJ[\w-]+\.[\w-]+\.[\w-]+$/m,
  /total[\s-]+\d+ .* 0\.\d{9}/,
  /refuse[\s\S]*audit verify: ok/,
  /check: ok/,
]

function tourBlocks(): readonly string[] {
  return [...README.matchAll(/```sh tour\n([\s\S]*?)```/g)].map((match) => match[1] ?? '')
}

let folder: string
let gateway: ChildProcess
let welcome = ''
let port: string

/** A copy of the checkout by links, so that the tour's own `.tollgate` does not meddle with the reader's. */
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tollgate-tour-'))
  for (const name of await readdir(ROOT)) {
    if (name !== '.tollgate' && name !== '.git') await symlink(join(ROOT, name), join(folder, name))
  }
  gateway = spawn('npm', ['start', '--silent', '--', '--port', '0', '--ready-file', 'ready.json'], {
    cwd: folder,
    stdio: ['ignore', 'pipe', 'inherit'],
    detached: true,
  })
  gateway.stdout?.on('data', (chunk: Buffer) => {
    welcome += chunk.toString()
  })
  // The bound is the page's own promise.
  for (let waited = 0; waited < 60_000 && !existsSync(join(folder, 'ready.json')); waited += 50) await wait(50)
  const ready: unknown = JSON.parse(readFileSync(join(folder, 'ready.json'), 'utf8'))
  port = /:(\d+)/.exec(JSON.stringify(ready))?.[1] ?? ''
})

afterAll(async () => {
  const ended = once(gateway, 'exit')
  if (gateway.pid !== undefined) process.kill(-gateway.pid, 'SIGTERM')
  await ended
  await rm(folder, { recursive: true, force: true })
})

async function paste(command: string): Promise<{ code: number | null; output: string }> {
  const shell = spawn('bash', ['-euo', 'pipefail', '-c', command.replaceAll('8787', port)], { cwd: folder })
  let output = ''
  const take = (chunk: Buffer) => {
    output += chunk.toString()
  }
  shell.stdout.on('data', take)
  shell.stderr.on('data', take)
  const [code] = await once(shell, 'close')
  return { code: typeof code === 'number' ? code : null, output }
}

describe('the five-minute tour of the README', () => {
  it('has an expectation for every block', () => {
    expect(tourBlocks()).toHaveLength(EXPECTED.length)
  })

  it.each(EXPECTED.map((expected, index) => [index + 1, expected] as const))(
    'prints at step %i what it promises',
    async (step, expected) => {
      const result = await paste(tourBlocks()[step - 1] ?? 'false')
      expect(result.output).toMatch(expected)
      expect(result.code).toBe(0)
    },
  )

  it('begins with three lines to paste that give a completion, a refusal and a sound record', async () => {
    const lines = welcome.split('\n').filter((line) => /^\s+(curl|npx) /.test(line))
    expect(lines).toHaveLength(3)
    const outputs = []
    for (const line of lines) outputs.push((await paste(line)).output)
    expect(outputs[0]).toMatch(/"object":"chat\.completion"/)
    expect(outputs[1]).toMatch(/"code":"insufficient_quota"/)
    expect(outputs[2]).toMatch(/audit verify: ok/)
  })
})
