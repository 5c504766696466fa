/** Loads policy sets from text, and writes their problems one a line. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join, relative } from 'node:path'
import { afterEach, expect } from 'vitest'
import { loadPolicies, type LoadedPolicies } from '../../../src/adapters/files/policies.ts'
import { BUILTIN_AUDIENCE, BUILTIN_CLAIM_MAP, BUILTIN_ISSUER_URL } from '../../../src/domain/claims.ts'
import type { Policy } from '../../../src/domain/policy/policy.ts'

export const builtin = { issuer: BUILTIN_ISSUER_URL, audience: BUILTIN_AUDIENCE, map: BUILTIN_CLAIM_MAP }
export const folders: string[] = []

afterEach(async () => {
  await Promise.all(folders.splice(0).map((folder) => rm(folder, { recursive: true })))
})

export type Files = Readonly<Record<string, string | Uint8Array>>

export async function folderOf(files: Files): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'policies-'))
  folders.push(folder)
  for (const [name, content] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), content)
  }
  return folder
}

export type KnownModel = (provider: string, model: string) => boolean

export async function load(files: Files, knownModel?: KnownModel): Promise<LoadedPolicies> {
  return loadPolicies({ paths: [await folderOf(files)], version: 3, builtin, knownModel })
}

export async function policyOf(files: Files): Promise<Policy> {
  const loaded = await load(files)
  if (loaded.kind === 'invalid') throw new Error(lines(loaded).join('\n'))
  return loaded.policy
}

/** Every problem and warning as `file:line:col severity code path: message`. */
export function lines(loaded: LoadedPolicies): readonly string[] {
  const problems = loaded.kind === 'invalid' ? loaded.problems : loaded.warnings
  return problems.map(({ file, line, col, severity, code, path, message }) => {
    const name = relative(tmpdir(), file).split('/').slice(1).join('/')
    return `${name}:${String(line)}:${String(col)} ${severity} ${code} ${path}: ${message}`
  })
}

export const HEAD = `apiVersion: tollgate/v1
kind: PolicySet
metadata: {name: test}
identity: {issuers: [{name: dev, builtin: true}]}
`
export const UPSTREAMS = `upstreams: [{name: sim, provider: simulator, models: {small: sim-small}}]
`
/** Five lines, so that what a test adds begins on the sixth. */
export const BASE = HEAD + UPSTREAMS

export const findings = async (added: string) => lines(await load({ 'a.yaml': BASE + added }))

/** The one problem of a set that is otherwise right: where, which code, which path. */
export async function only(added: string): Promise<string> {
  const found = (await findings(added)).filter((line) => !line.includes(' P056 '))
  expect(found).toHaveLength(1)
  return found[0] ?? ''
}
