import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { UsageError } from '../options.ts'
import { benchLedger } from './bench.ts'
import { CONTESTANTS } from './contestant.ts'
import type { Sample } from './measure.ts'
import { chargesOf, SIZES } from './mixes.ts'
import { readLedgerOptions } from './options.ts'
import { printCost, summarize } from './report.ts'

const sample = (firstStepUs: number, perSecond: number): Sample => ({
  firstStepUs,
  secondStepUs: undefined,
  wholeP99Us: firstStepUs * 2,
  perSecond,
  nodeCpuUs: 10,
  storeCpuUs: 20,
  refusedNodeCpuUs: undefined,
  refusedStoreCpuUs: undefined,
})

describe('the figures of the ledger bench', () => {
  it('are medians over the rounds, compared with one INCRBY and with the library at the same size', () => {
    const rows = summarize([
      { contestant: 'incrby', size: 1, sample: sample(50, 100_000) },
      { contestant: 'redis', size: 8, sample: sample(90, 30_000) },
      { contestant: 'redis', size: 8, sample: sample(100, 20_000) },
      { contestant: 'redis', size: 8, sample: sample(900, 1) },
      { contestant: 'flexible', size: 8, sample: sample(200, 10_000) },
    ])
    expect(rows.find(({ contestant }) => contestant === 'redis')).toMatchObject({
      firstStepUs: 100,
      perSecond: 20_000,
      toIncrby: 2,
      toFlexible: 2,
    })
    expect(printCost(rows)).toMatch(/Redis +8 +100\.0 +2\.00 +- /)
  })

  it('come from decisions of as many accumulators as they say, each one different', () => {
    for (const size of SIZES) {
      const keys = chargesOf(size, 1, { nowMs: 0 }).map(({ accumulator }) => accumulator.key)
      expect(new Set(keys).size).toBe(size)
    }
  })
})

describe('the options of the ledger bench', () => {
  it('measure every contestant and up to a million identities when nothing is said', () => {
    expect(readLedgerOptions([])).toMatchObject({ only: CONTESTANTS, identities: [1_000, 100_000, 1_000_000] })
  })

  it.each([
    ['--rounds', '0'],
    ['--seconds', 'x'],
    ['--identities', '1.5'],
    ['--only', 'dynamo'],
    ['--fast', '1'],
  ])('are refused with a sentence: %s %s', (name, value) => {
    expect(() => readLedgerOptions([name, value])).toThrow(UsageError)
  })
})

it('the ledger in memory is measured from end to end', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-test-'))
  try {
    const json = join(folder, 'ledger.json')
    await benchLedger(
      readLedgerOptions(['--quick', '--seconds', '0.01', '--identities', '10', '--only', 'memory', '--json', json]),
    )
    expect(JSON.parse(readFileSync(json, 'utf8'))).toMatchObject({
      rows: SIZES.map((size) => ({ contestant: 'memory', size })),
      grown: [{ contestant: 'memory', identities: 10 }],
    })
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})
