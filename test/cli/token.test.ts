/** `token issue` and `token inspect`: one token on stdout, and what it says. */
import { mkdtemp, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { runCli } from '../support/cli.ts'
import { runHere } from '../support/command.ts'
import { policySet } from '../support/policies.ts'

const PRICING = fileURLToPath(new URL('../../pricing', import.meta.url))

let cwd: string

beforeAll(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'tollgate-token-'))
  await writeFile(join(cwd, 'set.yaml'), policySet(''))
  await writeFile(
    join(cwd, 'tollgate.yaml'),
    JSON.stringify({ policies: './set.yaml', pricing: PRICING, data: './data' }),
  )
  await writeFile(join(cwd, 'foreign.yaml'), policySet('').replace('{name: dev, builtin: true}', foreignIssuer))
  await writeFile(
    join(cwd, 'foreign-config.yaml'),
    JSON.stringify({ policies: './foreign.yaml', pricing: PRICING, data: './data' }),
  )
  await writeFile(join(cwd, 'keys.json'), '{"keys":[]}')
})
afterAll(async () => {
  await rm(cwd, { recursive: true, force: true })
})

const foreignIssuer =
  '{name: corp, issuer: "https://idp.example/", jwks: {file: keys.json}, audiences: [a], algorithms: [ES256], map: {user: {claim: sub}}}'

const command = (...args: readonly string[]) => ['token', 'issue', '--config', join(cwd, 'tollgate.yaml'), ...args]
const issue = (...args: readonly string[]) => runHere(command(...args))

describe('token issue', () => {
  it('prints one token and nothing else, with every claim that was asked for', async () => {
    const args = command(
      ...'--tenant acme --team red --user ada --agent bot --role agent --role analyst'.split(' '),
      ...'--classification restricted --tier gold --lane batch --ttl 15m --claim project=apollo'.split(' '),
    )
    const { code, stdout, stderr } = await runCli(args)
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' })
    expect(stdout).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+\n$/)

    const inspected = await runHere(['token', 'inspect', stdout.trim()])
    expect(inspected.code).toBe(0)
    const seen = JSON.parse(inspected.stdout)
    expect(seen.header).toMatchObject({ alg: 'EdDSA', typ: 'at+jwt' })
    expect(seen.payload).toMatchObject({
      tenant: 'acme',
      team: 'red',
      sub: 'ada',
      agent: 'bot',
      roles: ['agent', 'analyst'],
      data_classification: 'restricted',
      tier: 'gold',
      lane: 'batch',
      project: 'apollo',
      aud: 'tollgate',
    })
    expect(seen.payload.exp - seen.payload.iat).toBe(900)
    expect(inspected.stdout).not.toContain(stdout.trim().split('.')[2])
  })

  it('makes its key once, readable by its owner alone', async () => {
    await issue('--agent', 'bot')
    const keys = join(cwd, 'data', 'keys')
    const names = await readdir(keys)
    expect(names.length).toBeGreaterThan(0)
    for (const name of names) expect(((await stat(join(keys, name))).mode & 0o077).toString(8)).toBe('0')
    const kid = async () => {
      const { stdout } = await issue('--agent', 'bot')
      return JSON.parse((await runHere(['token', 'inspect', stdout.trim()])).stdout).header.kid
    }
    expect(await kid()).toBe(await kid())
  })

  it('says so when the policy set has no built-in issuer', async () => {
    const args = ['token', 'issue', '--config', join(cwd, 'foreign-config.yaml'), '--agent', 'bot']
    const { code, stdout, stderr } = await runHere(args)
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' })
    expect(stderr).toContain('names no built-in issuer')
  })
})
