import { symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { loadPrices } from '../../../src/adapters/files/pricing.ts'
import {
  codes,
  type Data,
  fileOf,
  folderOf,
  load,
  loadModel,
  loadRows,
  loadText,
  modelOf,
  NOW,
  problems,
  rowOf,
  table,
} from './pricing-fixtures.ts'

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
