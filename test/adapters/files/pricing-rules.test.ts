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
  modelOf,
  NOW,
  rowOf,
  table,
  warnings,
} from './pricing-fixtures.ts'

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
