/** `check`: every fault with its place, and an exit code that a pipeline can rely on. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'
import { policySet } from '../support/policies.ts'

const PRICING = fileURLToPath(new URL('../../pricing', import.meta.url))

const before = process.cwd()
let cwd: string

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tollgate-check-'))
  await writeFile(join(cwd, 'tollgate.yaml'), JSON.stringify({ policies: './good.yaml', pricing: PRICING }))
  await writeFile(join(cwd, 'good.yaml'), policySet(''))
  await Promise.all(FAULTS.map(({ name, text }) => writeFile(join(cwd, `${name}.yaml`), text)))
  process.chdir(cwd)
})
afterAll(async () => {
  process.chdir(before)
  await rm(cwd, { recursive: true, force: true })
})

const good = policySet('')

const FAULTS = [
  { name: 'syntax', text: `${good}\nlimits: [`, says: 'error' },
  { name: 'unknown-member', text: good.replace('access:', 'acces:'), says: 'acces' },
  { name: 'unknown-provider', text: good.replace('provider: simulator', 'provider: acme'), says: 'openai, anthropic' },
  { name: 'unknown-level', text: good.replace('default: internal', 'default: secret'), says: 'secret' },
  {
    name: 'money-as-number',
    text: policySet('budgets: [{name: b, key: [tenant], limit: {usd: 5, period: month}}]'),
    says: 'usd',
  },
  {
    name: 'name-used-twice',
    text: policySet(
      'budgets:\n  - {name: b, key: [tenant], limit: {tokens: 1, period: month}}\n  - {name: b, key: [team], limit: {tokens: 1, period: month}}',
    ),
    says: 'b',
  },
  {
    name: 'unknown-dimension',
    text: policySet('limits: [{name: l, key: [colour], rates: [{requests: 1, window: 1m}]}]'),
    says: 'limits.0.key.0: one of tenant',
  },
  {
    name: 'no-destination',
    text: good.replace(
      'upstreams:',
      'upstreams:\n  - {name: o, provider: openai, baseUrl: "https://api.openai.com/v1", models: {gpt-5: gpt-5}, keys: [{id: k, secret: "env:K"}]}',
    ),
    says: 'destinations.allow',
  },
] as const

const run = (...args: readonly string[]) => runHere(['check', '--config', 'tollgate.yaml', ...args])

describe('check', () => {
  it.each(FAULTS)('$name: exits 1 and names the fault as file:line:column', async ({ name, says }) => {
    const { code, stdout } = await run(`${name}.yaml`)
    expect(code).toBe(1)
    const lines = stdout.split('\n').filter((line) => line.includes(`${name}.yaml:`) && line.includes(' error '))
    expect(lines.length).toBeGreaterThan(0)
    for (const line of lines) expect(line).toMatch(/^\S+\.yaml:\d+:\d+: error [A-Z]\d+: /)
    expect(lines.join('\n')).toContain(says)
    expect(stdout).toMatch(/check: \d+ errors, \d+ warnings\n$/)
  })

  it('a good set: exits 0 and names the digest', async () => {
    const { code, stdout } = await run()
    expect(code).toBe(0)
    expect(stdout).toMatch(
      /check: ok \(1 access rules, 0 limits, 0 budgets, 1 upstreams, \d+ warnings\) digest [0-9a-f]{64}\n$/,
    )
  })

  it('--json: one object with the same facts', async () => {
    const [fine, faulty] = await Promise.all([run('--json'), run('--json', 'unknown-level.yaml')])
    expect(JSON.parse(fine.stdout)).toMatchObject({ schemaVersion: 1, ok: true, digest: expect.any(String) })
    expect(faulty.code).toBe(1)
    expect(JSON.parse(faulty.stdout)).toMatchObject({
      ok: false,
      problems: expect.arrayContaining([
        expect.objectContaining({
          file: expect.stringMatching(/unknown-level\.yaml$/),
          line: expect.any(Number),
          col: expect.any(Number),
          severity: 'error',
          message: expect.stringContaining('secret'),
        }),
      ]),
    })
  })

  it('a model without a price is a warning at its place: its calls are refused, the others go on', async () => {
    await writeFile('unpriced.yaml', good.replace('sim-small: sim-small', 'sim-small: sim-tiny'))
    const { code, stdout } = await run('unpriced.yaml')
    expect(code).toBe(0)
    expect(stdout).toMatch(/unpriced\.yaml:\d+:\d+: warning P\d+: .*sim-tiny/)
  })

  it('--strict: a warning fails', async () => {
    const [lenient, strict] = await Promise.all([run(), run('--strict')])
    expect(lenient.stdout).toContain('warning')
    expect({ lenient: lenient.code, strict: strict.code }).toEqual({ lenient: 0, strict: 1 })
  })

  it('validate-config is the same command', async () => {
    const { code, stdout } = await runHere(['validate-config', '--config', 'tollgate.yaml', 'syntax.yaml'])
    expect(code).toBe(1)
    expect(stdout).toContain('syntax.yaml:')
  })

  it('a file that is not there is a fault by its name', async () => {
    const { code, stdout } = await run('nowhere.yaml')
    expect(code).toBe(1)
    expect(stdout).toContain('nowhere.yaml')
  })

  it('the shipped policies are good, and the process says so with its exit code', async () => {
    const { code, stdout } = await runCli(['check'], { cwd })
    expect(code).toBe(0)
    expect(stdout).toContain('check: ok')
  })
})
