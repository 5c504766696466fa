import { mkdtemp, mkdir, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { afterEach, describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadPrices, type LoadedPrices } from '../../../src/adapters/files/pricing.ts'
import type { PriceProblem } from '../../../src/adapters/files/pricing-source.ts'

const NOW = Date.parse('2026-09-30T00:00:00Z')
const folders: string[] = []

afterEach(async () => {
  for (const folder of folders.splice(0)) await rm(folder, { recursive: true })
})

async function folderOf(files: Record<string, string>): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'pricing-'))
  folders.push(folder)
  for (const [name, text] of Object.entries(files)) {
    await mkdir(dirname(join(folder, name)), { recursive: true })
    await writeFile(join(folder, name), text)
  }
  return folder
}

type Data = Record<string, unknown>

const rowOf = (overrides: Data = {}): Data => ({
  key: 'standard',
  tier: 'standard',
  rates: { input: '2', cache_read: '0.2', output: '8' },
  source: { url: 'https://acme.example/pricing', checked: '2026-09-20' },
  ...overrides,
})

const modelOf = (overrides: Data = {}): Data => ({
  id: 'acme-chat',
  kind: 'chat',
  status: 'served',
  limits: { context: 100_000, max_output: 10_000 },
  tokenizer: { encoding: 'o200k_base', certainty: 'documented', bytes_factor: '1', ratio_o200k: '1' },
  single_source: true,
  rows: [rowOf()],
  ...overrides,
})

const fileOf = (overrides: Data = {}): Data => ({
  schema: 'tollgate/pricing/1',
  provider: 'acme',
  currency: 'USD',
  models: [modelOf()],
  ...overrides,
})

async function load(...files: Data[]): Promise<LoadedPrices> {
  const named = Object.fromEntries(
    files.map((file, i) => [`${String(i)}.yaml`, stringify(file, { aliasDuplicateObjects: false })]),
  )
  return loadPrices(await folderOf(named), { nowMs: NOW })
}

const loadModel = (overrides: Data) => load(fileOf({ models: [modelOf(overrides)] }))
const loadRows = (...rows: Data[]) =>
  loadModel({ rows: rows.map((row, i) => rowOf({ key: `row${String(i)}`, ...row })) })
const loadText = async (text: string) => loadPrices(await folderOf({ 'a.yaml': text }), { nowMs: NOW })

function problems(loaded: LoadedPrices): readonly PriceProblem[] {
  return loaded.kind === 'invalid' ? loaded.problems : []
}

function table(loaded: LoadedPrices) {
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems))
  return loaded.table
}

const codes = (loaded: LoadedPrices) => problems(loaded).map(({ code, path }) => `${code} ${path}`)
const warnings = (loaded: LoadedPrices) => loaded.warnings.map(({ code, path }) => `${code} ${path}`)

describe('the shipped files', () => {
  const shipped = () => loadPrices(join(import.meta.dirname, '../../../pricing'), { nowMs: NOW })

  test('load without a problem', async () => {
    const loaded = await shipped()
    expect(problems(loaded)).toEqual([])
    const doubts = loaded.warnings.filter(({ code }) => code !== 'V13').map(({ message }) => message.split(':')[0])
    expect(doubts).toEqual(['claude-fable-5-1', 'claude-opus-5-5', 'gpt-6-astra', 'gpt-6-sol', 'gpt-6-luna', 'gpt-4'])
  })

  test('find a model by id, alias and snapshot, and by nothing else', async () => {
    const prices = table(await shipped())
    const sol = prices.find('openai', 'gpt-5.6-sol')
    expect(sol?.id).toBe('gpt-5.6-sol')
    expect(prices.find('openai', 'gpt-5.6')).toBe(sol)
    expect(prices.find('openai', 'gpt-5.6-sol-2026-07-09')).toBe(sol)
    for (const name of ['gpt-5.6-sol-2026', 'GPT-5.6', 'gpt-5', ' gpt-5.6', '', 'constructor']) {
      expect(prices.find('openai', name)).not.toBe(sol)
    }
    expect(prices.find('anthropic', 'gpt-5.6-sol')).toBeUndefined()
  })

  test('price no model whose limits nobody states', async () => {
    const prices = table(await shipped())
    expect(prices.find('anthropic', 'claude-opus-5-5')).toBeUndefined()
    expect(prices.find('openai', 'gpt-6-sol')).toMatchObject({ context: 1_050_000, outputMax: 1_050_000 })
  })

  test('have the simulator’s models', async () => {
    const prices = table(await shipped())
    expect(prices.find('simulator', 'sim-small')).toMatchObject({ context: 128_000, outputMax: 16_384 })
    expect(prices.find('simulator', 'sim-claude')?.rows[0]?.rates.cache_write_1h).toEqual({
      nanoUsd: 6_000_000_000n,
      per: 1_000_000n,
    })
    expect(prices.find('simulator', 'sim-expensive')?.rows[0]?.rates.input?.nanoUsd).toBe(1_000_000_000_000n)
    expect(prices.find('simulator', 'sim-large')).toBeDefined()
  })
})

describe('the version', () => {
  test('is the SHA-256 of the canonical text and does not depend on order, comments, spelling or check dates', async () => {
    const two = [modelOf(), modelOf({ id: 'acme-other' })]
    const one = table(await load(fileOf({ models: two })))
    const checked = rowOf({ source: { url: 'https://acme.example/other', checked: '2026-09-29' } })
    const rates = rowOf({ rates: { output: '8.00', input: '2.0', cache_read: '0.20' } })
    const same = table(
      await load(
        fileOf({ models: [modelOf({ id: 'acme-other', rows: [checked] })] }),
        fileOf({ models: [modelOf({ rows: [rates] })] }),
      ),
    )
    expect(one.version).toMatch(/^[0-9a-f]{64}$/)
    expect(same.canonical).toBe(one.canonical)
    expect(same.version).toBe(one.version)
  })

  test('does not depend on the order of the rows', async () => {
    const rows = [
      { key: 'b', tier: 'flex' },
      { key: 'a', until: '2026-08-01' },
      { key: 'c', from: '2026-08-01' },
    ]
    const one = table(await loadModel({ rows: rows.map((entry) => rowOf(entry)) }))
    const other = table(await loadModel({ rows: rows.toReversed().map((entry) => rowOf(entry)) }))
    expect(other.version).toBe(one.version)
  })

  test('changes with anything that decides a price', async () => {
    const versions = await Promise.all(
      [
        {},
        { aliases: ['acme'] },
        { limits: { context: 100_000, max_output: 9_999 } },
        { geography: { us: '1.1' } },
        { images: { max_tokens: 5 } },
        { rows: [rowOf({ rates: { input: '2', cache_read: '0.2', output: '8.000000001' } })] },
        { rows: [rowOf({ from: '2026-01-01' })] },
      ].map(async (overrides) => table(await loadModel(overrides)).version),
    )
    expect(new Set(versions).size).toBe(versions.length)
  })
})

describe('a file that is not right is refused whole, with the place', () => {
  test('broken YAML', async () => {
    const [problem] = problems(await loadText('schema: tollgate/pricing/1\nmodels: [\n'))
    expect(problem).toMatchObject({ code: 'yaml', line: 3 })
  })

  test('a key that is given twice', async () => {
    expect(problems(await loadText('schema: a\nschema: b\n'))[0]).toMatchObject({ code: 'yaml', line: 2, col: 1 })
  })

  test('anchors, which could unfold without end', async () => {
    const loaded = await loadText('schema: &a tollgate/pricing/1\nprovider: *a\n')
    expect(problems(loaded)[0]?.message).toContain('anchors')
  })

  test('an unquoted price, at its own line and column', async () => {
    const text = stringify(fileOf()).replace('input: "2"', 'input: 2')
    const line = text.split('\n').findIndex((entry) => entry.includes('input: 2')) + 1
    const [problem] = problems(await loadText(text))
    expect(problem).toMatchObject({ code: 'V1', line, col: 11, path: 'models[0].rows[0].rates.input' })
    expect(problem?.message).toContain('quoted')
  })

  test.each(['multiplier', 'discount', 'window'])('an unknown key (%s): nothing is ignored', async (key) => {
    const loaded = await loadRows({ [key]: '0.5' })
    expect(codes(loaded)).toEqual([`schema models[0].rows[0].${key}`])
    expect(problems(loaded)[0]?.line).toBeGreaterThan(10)
  })

  test('an unknown meter', async () => {
    expect(codes(await loadRows({ rates: { input: '1', output: '1', inptu: '1' } }))[0]).toMatch(
      /^V1 models\[0\]\.rows\[0\]\.rates/,
    )
  })

  test('a date that does not exist', async () => {
    expect(codes(await loadRows({ from: '2026-02-30' }))).toEqual(['schema models[0].rows[0].from'])
  })

  test('a currency other than dollars, another schema, an empty document', async () => {
    expect(codes(await load(fileOf({ currency: 'EUR' })))).toEqual(['schema currency'])
    expect(codes(await load(fileOf({ schema: 'pricing/2' })))).toEqual(['schema schema'])
    expect((await loadText('')).kind).toBe('invalid')
  })

  test('text that is not UTF-8, a folder without files, a path that is not there', async () => {
    const folder = await folderOf({ 'a.txt': '' })
    expect(problems(await loadPrices(folder, { nowMs: NOW }))[0]?.message).toContain('no .yaml')
    expect(problems(await loadPrices(join(folder, 'none.yaml'), { nowMs: NOW }))[0]?.message).toContain(
      'cannot be read',
    )
    await writeFile(join(folder, 'b.yaml'), Buffer.from([0x61, 0xff, 0xfe]))
    expect(problems(await loadPrices(folder, { nowMs: NOW }))[0]?.message).toContain('UTF-8')
  })

  test('a folder that contains itself is read once', async () => {
    const folder = await folderOf({ 'providers/a.yaml': stringify(fileOf()) })
    await symlink(folder, join(folder, 'providers', 'again'))
    expect((await loadPrices(folder, { nowMs: NOW })).kind).toBe('loaded')
  })

  test('two wrong files are both named', async () => {
    const loaded = await load(fileOf({ currency: 'EUR' }), fileOf({ provider: 'OTHER' }))
    expect(problems(loaded).map(({ file }) => file.slice(-6))).toEqual(['0.yaml', '1.yaml'])
  })
})

describe('rules', () => {
  test.each(['1e3', '-1', '.5', '12345678', '0.0000000001', '1,5', ' 1', ''])(
    'V1 refuses the price %j',
    async (input) => {
      expect(codes(await loadRows({ rates: { input, output: '8' } }))).toEqual(['V1 models[0].rows[0].rates.input'])
    },
  )

  test('V2 doubts a price with the digits of a float', async () => {
    expect(warnings(await loadRows({ rates: { input: '0.1000000', output: '8' } }))).toEqual([
      'V2 models[0].rows[0].rates.input',
    ])
    expect(warnings(await loadRows({ rates: { input: '0.100001', output: '8' } }))).toEqual([])
    expect(warnings(await loadRows({ rates: { input: '100.123456', output: '200' } }))).toEqual([
      'V2 models[0].rows[0].rates.input',
    ])
  })

  test('V3 refuses a cache read dearer than input, and a cache write outside once to twice the input', async () => {
    const at = 'models[0].rows[0].rates'
    const read = await loadRows({ rates: { input: '2', cache_read: '2.1', output: '8' } })
    expect(codes(read)).toEqual([`V3 ${at}.cache_read`])
    for (const cache_write of ['1.9', '4.1']) {
      const write = await loadRows({ rates: { input: '2', cache_read: '1', cache_write, output: '8' } })
      expect(codes(write)).toEqual([`V3 ${at}.cache_write`])
    }
    expect(codes(await loadRows({ rates: { input: '2', cache_read: '2', cache_write: '4', output: '8' } }))).toEqual([])
  })

  test('V4 doubts output cheaper than input', async () => {
    expect(warnings(await loadRows({ rates: { input: '2', output: '1' } }))).toEqual([
      'V4 models[0].rows[0].rates.output',
    ])
  })

  test('V5 refuses flex above standard and priority below it', async () => {
    const tier = (name: string, input: string) =>
      loadRows({}, { tier: name, rates: { input, cache_read: '0.2', output: '8' } })
    expect(codes(await tier('flex', '2.1'))).toEqual(['V5 models[0].rows[1].rates.input'])
    expect(codes(await tier('batch', '2.1'))).toEqual(['V5 models[0].rows[1].rates.input'])
    expect(codes(await tier('priority', '1.9'))).toEqual(['V5 models[0].rows[1].rates.input'])
    expect(codes(await tier('fast', '1.9'))).toEqual(['V5 models[0].rows[1].rates.input'])
    expect(codes(await tier('priority', '2'))).toEqual([])
  })

  test('V6 refuses longer input that is cheaper or lacks a meter', async () => {
    const long = (rates: Data) => loadRows({ context: { max: 99 } }, { context: { min: 100 }, rates })
    expect(codes(await long({ input: '1.9', cache_read: '0.2', output: '8' }))).toEqual([
      'V6 models[0].rows[1].rates.input',
    ])
    expect(codes(await long({ input: '2', output: '8' }))).toEqual(['V6 models[0].rows[1].rates'])
  })

  test('V7 refuses a row that is zero throughout unless it says why', async () => {
    const rates = { input: '0', output: '0' }
    expect(codes(await loadRows({ rates }))).toEqual(['V7 models[0].rows[0].rates'])
    expect(codes(await loadRows({ rates, free: true }))).toEqual(['V7 models[0].rows[0].rates'])
    expect(codes(await loadRows({ rates, free: true, reason: 'runs on our own machines' }))).toEqual([])
  })

  test('V8 refuses prices beyond every list unless they are marked', async () => {
    const rows = [rowOf({ rates: { input: '700.1', output: '800' } })]
    expect(codes(await loadModel({ rows }))).toEqual(['V8 models[0].rows[0].rates'])
    expect(codes(await loadRows({ rates: { input: '700', output: '3000.1' } }))).toEqual(['V8 models[0].rows[0].rates'])
    expect(codes(await loadModel({ rows, extreme: true }))).toEqual([])
    expect(codes(await loadRows({ rates: { input: '700', output: '3000' } }))).toEqual([])
  })

  test('V9 refuses a change of more than 60 % against the row before, unless it is confirmed', async () => {
    const change = (input: string, more: Data = {}) =>
      loadRows(
        { until: '2026-08-01' },
        { from: '2026-08-01', rates: { input, cache_read: '0.2', output: '8' }, ...more },
      )
    expect(codes(await change('3.3'))).toEqual(['V9 models[0].rows[1].rates.input'])
    expect(codes(await change('0.7'))).toEqual(['V9 models[0].rows[1].rates.input'])
    expect(codes(await change('3.2'))).toEqual([])
    expect(codes(await change('3.3', { confirm: 'announced on 2026-07-15' }))).toEqual([])
  })

  test('V9 refuses such a change against the table in force', async () => {
    const previous = table(await load(fileOf()))
    const dearer = await folderOf({
      'a.yaml': stringify(
        fileOf({ models: [modelOf({ rows: [rowOf({ rates: { input: '4', cache_read: '0.2', output: '8' } })] })] }),
      ),
    })
    expect(codes(await loadPrices(dearer, { nowMs: NOW, previous }))).toEqual(['V9 models[0].rows[0].rates.input'])
    expect(codes(await loadPrices(dearer, { nowMs: NOW }))).toEqual([])
  })

  test.each<[string, Data[]]>([
    ['a gap in time', [{ until: '2026-08-01' }, { from: '2026-08-02' }]],
    ['an overlap in time', [{ until: '2026-08-02' }, { from: '2026-08-01' }]],
    ['a gap in input', [{ context: { max: 99 } }, { context: { min: 101 } }]],
    ['an overlap in input', [{ context: { max: 100 } }, { context: { min: 100 } }]],
    ['an end', [{ until: '2027-01-01' }]],
    ['a limit on input', [{ context: { max: 100 } }]],
    ['no start at zero input', [{ context: { min: 1 } }]],
    ['the same row twice', [{}, {}]],
    ['an end before its start', [{ from: '2026-08-01', until: '2026-08-01' }]],
    ['a band that ends before it begins', [{ context: { min: 10, max: 5 } }]],
    ['no standard row', [{ tier: 'flex' }]],
  ])('V10 refuses standard rows with %s', async (_, rows) => {
    const found = codes(await loadRows(...rows))
    expect(found.length).toBeGreaterThan(0)
    expect(found.every((code) => code.startsWith('V10 '))).toBe(true)
  })

  test('V10 lets other tiers end at some input, but not leave a gap', async () => {
    expect(codes(await loadRows({}, { tier: 'priority', context: { max: 100 } }))).toEqual([])
    expect(codes(await loadRows({}, { tier: 'priority', context: { min: 100 } }))).toEqual(['V10 models[0].rows'])
  })

  test('V11 refuses a name or a row key that is used twice', async () => {
    const twice = await load(
      fileOf({ models: [modelOf({ aliases: ['x'] }), modelOf({ id: 'other', snapshots: ['x'] })] }),
    )
    expect(codes(twice)).toEqual(['V11 models[1].snapshots'])
    expect(codes(await load(fileOf(), fileOf()))).toEqual(['V11 models[0].id'])
    expect(codes(await loadModel({ aliases: ['acme-chat'] }))).toEqual(['V11 models[0].aliases'])
    expect(codes(await loadRows({ key: 'a' }, { key: 'a', tier: 'flex' }))).toEqual([
      'V11 models[0].rows[0].key',
      'V11 models[0].rows[1].key',
    ])
  })

  test('V12 refuses impossible limits and doubts missing ones', async () => {
    expect(codes(await loadModel({ limits: { context: 10, max_output: 11 } }))).toEqual([
      'V12 models[0].limits.max_output',
    ])
    expect(codes(await loadModel({ limits: { context: 10, max_input: 11 } }))).toEqual([
      'V12 models[0].limits.max_input',
    ])
    expect(warnings(await loadModel({ limits: { context: 10 } }))).toEqual(['V12 models[0].limits'])
    expect(warnings(await loadModel({ limits: { context: 10, max_output: 10 } }))).toEqual([
      'V12 models[0].limits.max_output',
    ])
    const tokenizer = { encoding: 'o200k_base', certainty: 'documented', bytes_factor: '0.9', ratio_o200k: '1' }
    expect(codes(await loadModel({ tokenizer }))).toEqual(['V12 models[0].tokenizer.bytes_factor'])
  })

  test('V12 a model without limits keeps its name and has no price', async () => {
    const loaded = await loadModel({ limits: undefined })
    expect(warnings(loaded)).toEqual(['V12 models[0].id'])
    expect(table(loaded).find('acme', 'acme-chat')).toBeUndefined()
  })

  test('V13 wants a source, and doubts a check that is old or in the future', async () => {
    const checked = (day: string) => loadRows({ source: { url: 'https://acme.example', checked: day } })
    expect(warnings(await checked('2026-08-17'))).toEqual([])
    expect((await checked('2026-08-15')).warnings[0]?.message).toContain('45 days')
    expect((await checked('2026-07-01')).warnings[0]?.message).toContain('stale')
    expect((await checked('2026-10-05')).warnings[0]?.message).toContain('future')
    expect(codes(await loadRows({ source: { url: 'http://acme.example', checked: '2026-09-20' } }))).toEqual([
      'schema models[0].rows[0].source.url',
    ])
    expect(codes(await loadRows({ source: undefined }))).toEqual(['schema models[0].rows[0].source'])
  })

  test('V14 wants input and output, reads beside writes, both lifetimes, and what standard has', async () => {
    const at = 'models[0].rows[0].rates'
    expect(codes(await loadRows({ rates: { input: '2' } }))).toEqual([`V14 ${at}`])
    expect(codes(await loadRows({ rates: { input: '2', cache_write: '2', output: '8' } }))).toEqual([`V14 ${at}`])
    const oneLifetime = { input: '2', cache_read: '1', cache_write_5m: '2', output: '8' }
    expect(codes(await loadRows({ rates: oneLifetime }))).toEqual([`V14 ${at}`])
    expect(codes(await loadRows({ rates: oneLifetime, missing: ['cache_write_1h'] }))).toEqual([])
    const flex = { tier: 'flex', rates: { input: '1', output: '4' } }
    expect(codes(await loadRows({}, flex))).toEqual(['V14 models[0].rows[1].rates'])
    expect(codes(await loadRows({}, { ...flex, missing: ['cache_read'] }))).toEqual([])
    expect(codes(await loadRows({ missing: ['input'] }))).toEqual(['V14 models[0].rows[0].missing'])
  })

  test('V15 refuses a geography multiplier outside 1.0 to 1.5', async () => {
    expect(codes(await loadModel({ geography: { us: '0.9' } }))).toEqual(['V15 models[0].geography.us'])
    expect(codes(await loadModel({ geography: { us: '1.6' } }))).toEqual(['V15 models[0].geography.us'])
    expect(codes(await loadModel({ geography: { us: '1.5', eu: '1' } }))).toEqual([])
  })

  test('V16 refuses a promotion without an end or a successor', async () => {
    expect(codes(await loadRows({ promotion: true }))).toEqual(['V16 models[0].rows[0]'])
    expect(codes(await loadRows({ promotion: true, until: '2026-12-31' }))).toContain('V16 models[0].rows[0]')
    expect(codes(await loadRows({ promotion: true, until: '2026-12-31' }, { from: '2026-12-31' }))).toEqual([])
  })

  test('V18 refuses an open row of a retired model', async () => {
    expect(codes(await loadModel({ status: 'retired' }))).toEqual(['V18 models[0].rows[0]'])
    expect(codes(await loadModel({ status: 'retired', rows: [rowOf({ until: '2026-08-01' })] }))).toEqual([])
  })

  test('V19 wants a second source, or the admission that there is none', async () => {
    expect(codes(await loadModel({ single_source: undefined }))).toEqual(['V19 models[0].id'])
    expect(codes(await loadModel({ single_source: undefined, agreed_by: ['litellm'] }))).toEqual([])
  })
})

describe('an overlay', () => {
  const override = (overrides: Data = {}) =>
    fileOf({ models: [modelOf({ overrides: true, reason: 'enterprise agreement', ...overrides })] })
  const cheaper = { rows: [rowOf({ rates: { input: '1.76', cache_read: '0.2', output: '8' } })] }

  test('replaces a whole entry, whichever file comes first', async () => {
    const listed = fileOf({ models: [modelOf({ aliases: ['acme'] })] })
    const after = table(await load(listed, override(cheaper)))
    const before = table(await load(override(cheaper), listed))
    expect(after.find('acme', 'acme-chat')?.rows[0]?.rates.input?.nanoUsd).toBe(1_760_000_000n)
    expect(after.find('acme', 'acme')).toBeUndefined()
    expect(before.version).toBe(after.version)
  })

  test('gives limits to a model that has none', async () => {
    const loaded = await load(fileOf({ models: [modelOf({ limits: undefined })] }), override())
    expect(table(loaded).find('acme', 'acme-chat')?.context).toBe(100_000)
  })

  test('must say why, must replace something, must be alone, and must confirm large changes', async () => {
    expect(codes(await load(fileOf(), override({ reason: undefined })))).toEqual(['schema models[0].overrides'])
    expect(codes(await load(fileOf(), override({ id: 'acme-chta' })))).toEqual(['V11 models[0].overrides'])
    expect(codes(await load(fileOf(), override(), override()))).toEqual(['V11 models[0].id'])
    const half = { rows: [rowOf({ rates: { input: '0.5', cache_read: '0.2', output: '8' } })] }
    expect(codes(await load(fileOf(), override(half)))).toEqual(['V9 models[0].rows[0].rates.input'])
  })

  test('cannot give the tier words of a provider a second meaning', async () => {
    const tiers = { service_tiers: { reported: { default: 'standard' } } }
    const other = fileOf({ ...tiers, models: [modelOf({ id: 'other' })] })
    expect(codes(await load(fileOf(tiers), other))).toEqual(['V11 service_tiers'])
  })
})
