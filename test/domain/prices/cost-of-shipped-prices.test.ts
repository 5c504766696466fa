import { join } from 'node:path'
import { beforeAll, describe, expect, test } from 'vitest'
import { loadPrices } from '../../../src/adapters/files/pricing.ts'
import { costOf, possibleTiers, upperCost, type CostBounds } from '../../../src/domain/prices/cost.ts'
import type { ModelPrice, PriceTable } from '../../../src/domain/prices/prices.ts'
import { usage } from '../price-fixtures.ts'

const AT = Date.parse('2026-09-30T00:00:00Z')

/** Everything the model can take and give in one call. */
const boundsOf = (priced: ModelPrice, serviceTier: string | undefined): CostBounds => ({
  inputTokens: priced.inputMax,
  outputTokens: priced.outputMax,
  serviceTier,
  longCacheWrites: false,
  calls: {},
  atMs: AT,
  timeoutMs: 600_000,
})

let table: PriceTable | undefined

async function shipped(): Promise<PriceTable> {
  const loaded = await loadPrices(join(import.meta.dirname, '../../../pricing'), { nowMs: AT })
  if (loaded.kind === 'invalid') throw new Error(JSON.stringify(loaded.problems[0]))
  return loaded.table
}

function modelsOf(prices: PriceTable): ModelPrice[] {
  // The canonical text is written by compileTable in this shape.
  const { models } = JSON.parse(prices.canonical) as { models: { provider: string; id: string }[] }
  return models.flatMap(({ provider, id }) => prices.find(provider, id) ?? [])
}

describe('golden costs of real usage objects', () => {
  beforeAll(async () => {
    table = await shipped()
  })

  const cost = (name: string, used: Parameters<typeof usage>, at = '2026-09-30T00:00:00Z') => {
    const [provider = '', id = ''] = name.split('/')
    const found = table?.find(provider, id)
    if (!found) throw new Error(`no ${name}`)
    return costOf(found, usage(...used), Date.parse(at))
  }

  test('gpt-4o-mini: 2,006 prompt tokens of which 1,920 cached, 300 completion', () => {
    const priced = cost('openai/gpt-4o-mini', [{ input: 86, cache_read: 1_920, output: 300 }, { tier: 'default' }])
    expect(priced).toMatchObject({ nanoUsd: 336_900n, row: 'standard', tier: 'standard' })
    expect(priced).toMatchObject({
      lines: [
        { meter: 'input', quantity: 86, nanoUsd: 12_900n },
        { meter: 'cache_read', quantity: 1_920, nanoUsd: 144_000n },
        { meter: 'output', quantity: 300, nanoUsd: 180_000n },
      ],
    })
  })

  test('gpt-4o-2024-05-13 is not gpt-4o', () => {
    expect(cost('openai/gpt-4o-2024-05-13', [{ input: 1_000_000 }])).toMatchObject({ nanoUsd: 5_000_000_000n })
    expect(cost('openai/gpt-4o-2024-08-06', [{ input: 1_000_000 }])).toMatchObject({ nanoUsd: 2_500_000_000n })
  })

  test('gpt-6-sol changes its band above 272,000 tokens, gpt-6-astra at it', () => {
    expect(cost('openai/gpt-6-sol', [{ input: 272_000 }])).toMatchObject({ nanoUsd: 544_000_000n })
    expect(cost('openai/gpt-6-sol', [{ input: 272_001 }])).toMatchObject({ nanoUsd: 1_088_004_000n })
    expect(cost('openai/gpt-6-astra', [{ input: 272_000 }])).toMatchObject({ nanoUsd: 5_440_000_000n })
  })

  test('gpt-5.6-sol got cheaper on 2026-08-21', () => {
    const used: Parameters<typeof usage> = [{ input: 1_000, cache_write: 1_000, output: 1_000 }]
    expect(cost('openai/gpt-5.6-sol', used, '2026-08-20T23:59:59Z')).toMatchObject({ nanoUsd: 41_250_000n })
    expect(cost('openai/gpt-5.6-sol', used, '2026-08-21T00:00:00Z')).toMatchObject({ nanoUsd: 29_000_000n })
  })

  test('gpt-5.4 is priced by the tier of the answer', () => {
    const used = { input: 1_000, cache_read: 1_000, output: 100 }
    expect(cost('openai/gpt-5.4', [used, { tier: 'priority' }])).toMatchObject({ nanoUsd: 8_500_000n })
    expect(cost('openai/gpt-5.4', [used, { tier: 'fast' }])).toMatchObject({ nanoUsd: 8_500_000n, tier: 'priority' })
    expect(cost('openai/gpt-5.4', [used, { tier: 'flex' }])).toMatchObject({ nanoUsd: 2_130_000n })
    expect(cost('openai/gpt-5.4', [used])).toMatchObject({ nanoUsd: 4_250_000n, tier: 'standard' })
  })

  test('claude-sonnet-4-5: cache writes by lifetime', () => {
    const used = { input: 2_095, cache_write_5m: 1_000, cache_write_1h: 500, cache_read: 10_000, output: 503 }
    expect(cost('anthropic/claude-sonnet-4-5-20250929', [used, { tier: 'standard' }])).toMatchObject({
      nanoUsd: 23_580_000n,
    })
  })

  test('claude-opus-5 in us: tokens times 1.1, the web search as it is', () => {
    const used = { input: 100, output: 10, web_search: 1 }
    expect(cost('anthropic/claude-opus-5', [used, { geography: 'us' }])).toMatchObject({
      nanoUsd: 10_825_000n,
      geography: 'us',
    })
    expect(cost('anthropic/claude-opus-5', [used, { geography: 'not_available' }])).toMatchObject({
      nanoUsd: 10_750_000n,
      geography: undefined,
    })
  })

  test('claude-opus-5 fast is its own price list', () => {
    const used = { input: 1_000, output: 100 }
    expect(cost('anthropic/claude-opus-5', [used, { tier: 'fast' }])).toMatchObject({ nanoUsd: 15_000_000n })
  })
})

describe('the upper bound of shipped prices', () => {
  test('is never below for every shipped model at its own maxima', async () => {
    const table = await shipped()
    expect(modelsOf(table).length).toBeGreaterThan(40)
    for (const priced of modelsOf(table)) {
      for (const serviceTier of [undefined, 'default', 'auto']) {
        const upper = upperCost(priced, boundsOf(priced, serviceTier))
        if (upper.kind === 'unpriced') throw new Error(`${priced.id}: ${upper.fault}`)
        for (const tier of possibleTiers(priced, serviceTier)) {
          for (const inputTokens of [1, 200_001, 271_999, 272_000, 272_001, priced.inputMax]) {
            if (inputTokens > priced.inputMax) continue
            const cost = costOf(priced, usage({ input: inputTokens, output: priced.outputMax }, { tier }), AT)
            const nanoUsd = cost.kind === 'priced' ? cost.nanoUsd : 0n
            expect(upper.nanoUsd, `${priced.id} ${tier}`).toBeGreaterThanOrEqual(nanoUsd)
          }
        }
      }
    }
  })
})
