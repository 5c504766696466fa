import { describe, expect, it } from 'vitest'
import type { Sample } from './measure.ts'
import { readOptions, UsageError, VARIANTS } from './options.ts'
import { printTable, summarize } from './report.ts'
import { median, percentile } from './statistics.ts'

const sample = (callsPerSecond: number, cpuMicros: number | undefined, p50Ms: number): Sample => ({
  callsPerSecond,
  cpuMicros,
  storeCpuMicros: undefined,
  p50Ms,
  p99Ms: p50Ms * 2,
  firstP50Ms: p50Ms,
})

describe('the figures of the bench', () => {
  it('are medians over the rounds, and ratios to the bare proxy', () => {
    const rows = summarize(
      new Map([
        [
          'calls',
          new Map([
            ['direct' as const, [sample(50_000, undefined, 0.1)]],
            ['bare' as const, [sample(30_000, 40, 0.2), sample(20_000, 50, 0.3), sample(1, 900, 9)]],
            ['redis' as const, [sample(10_000, 100, 0.5)]],
          ]),
        ],
      ]),
    )
    const [direct, bare, redis] = rows
    expect(bare).toMatchObject({
      callsPerSecond: 20_000,
      cpuMicros: 50,
      p50Ms: 0.3,
      samples: 3,
      toBare: { rate: 1, cpu: 1 },
    })
    expect(redis?.toBare.rate).toBeCloseTo(0.5)
    expect(redis?.toBare.cpu).toBeCloseTo(2)
    expect(redis?.toBare.addedLatency).toBeCloseTo(2)
    expect(direct?.toBare).toEqual({ rate: 2.5 })
    expect(printTable(rows)).toMatch(/redis +10000 +0\.50 +100\.0 +2\.00/)
  })

  it('leave out a ratio that has no base', () => {
    const [row] = summarize(new Map([['calls', new Map([['embedded' as const, [sample(1, 1, 1)]]])]]))
    expect(row?.toBare).toEqual({})
  })

  it('take the nearest rank', () => {
    const values = Array.from({ length: 100 }, (_, index) => 100 - index)
    expect([percentile(values, 0.5), percentile(values, 0.99), percentile(values, 1), percentile([], 0.5)]).toEqual([
      50, 99, 100, 0,
    ])
    expect(median([3, 1, 2])).toBe(2)
  })
})

describe('the options of the bench', () => {
  it('measure everything in three rounds when nothing is said', () => {
    expect(readOptions([])).toEqual({ rounds: 3, seconds: 3, json: 'bench-results/latest.json', only: VARIANTS })
  })

  it('keep the order of the table', () => {
    expect(readOptions(['--only', 'redis,bare', '--quick'])).toMatchObject({
      only: ['bare', 'redis'],
      rounds: 1,
      seconds: 0.5,
    })
  })

  it.each([
    ['--rounds', '0'],
    ['--rounds', '1.5'],
    ['--seconds', 'x'],
    ['--only', 'nginx'],
    ['--fast', '1'],
  ])('are refused with a sentence: %s %s', (name, value) => {
    expect(() => readOptions([name, value])).toThrow(UsageError)
  })
})
