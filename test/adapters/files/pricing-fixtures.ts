import { mkdtemp, mkdir, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach } from 'vitest'
import { stringify } from 'yaml'
import { loadPrices, type LoadedPrices } from '../../../src/adapters/files/pricing.ts'
import type { PriceProblem } from '../../../src/adapters/files/pricing-source.ts'

export const NOW = Date.parse('2026-09-30T00:00:00Z')
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

export async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pricing-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

export type Data = Record<string, unknown>

export const rowOf = (overrides: Data = {}): Data => ({
  key: 'standard',
  tier: 'standard',
  rates: { input: '2', cache_read: '0.2', output: '8' },
  source: { url: 'https://acme.example/pricing', checked: '2026-09-20' },
  ...overrides,
})

export const modelOf = (overrides: Data = {}): Data => ({
  id: 'acme-chat',
  kind: 'chat',
  status: 'served',
  limits: { context: 100_000, max_output: 10_000 },
  tokenizer: { encoding: 'o200k_base', certainty: 'documented', bytes_factor: '1', ratio_o200k: '1' },
  single_source: true,
  rows: [rowOf()],
  ...overrides,
})

export const fileOf = (overrides: Data = {}): Data => ({
  schema: 'tollgate/pricing/1',
  provider: 'acme',
  currency: 'USD',
  models: [modelOf()],
  ...overrides,
})

export async function load(...files: Data[]): Promise<LoadedPrices> {
  const named = Object.fromEntries(
    files.map((file, i) => [`${String(i)}.yaml`, stringify(file, { aliasDuplicateObjects: false })]),
  )
  return loadPrices(await folderOf(named), { nowMs: NOW })
}

export const loadModel = (overrides: Data) => load(fileOf({ models: [modelOf(overrides)] }))
export const loadRows = (...rows: Data[]) =>
  loadModel({ rows: rows.map((row, i) => rowOf({ key: `row${String(i)}`, ...row })) })
export const loadText = async (text: string) => loadPrices(await folderOf({ 'a.yaml': text }), { nowMs: NOW })

export function problems(loaded: LoadedPrices): readonly PriceProblem[] {
  return loaded.kind === 'invalid' ? loaded.problems : []
}

export function table(loaded: LoadedPrices) {
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
  return loaded.table
}

export const codes = (loaded: LoadedPrices) => problems(loaded).map(({ code, path }) => `${code} ${path}`)
export const warnings = (loaded: LoadedPrices) => loaded.warnings.map(({ code, path }) => `${code} ${path}`)
