import type { Ask } from '../../src/domain/ask.ts'
import {
  CONTEXT_UNBOUNDED,
  FOREVER_MS,
  parseRatio,
  type ModelPrice,
  type PriceRow,
  type Rate,
  type Ratio,
} from '../../src/domain/prices/prices.ts'
import { TOKEN_METERS, type Meter, type Quantities, type Usage } from '../../src/domain/prices/usage.ts'

export function ratio(text: string): Ratio {
  const parsed = parseRatio(text)
  if (parsed === undefined) throw new Error(`not a ratio: ${text}`)
  return parsed
}

/** Rates from nano-dollars per published unit. */
export function rates(prices: Partial<Record<Meter, number | bigint>>): Partial<Record<Meter, Rate>> {
  const tokens = new Set<string>(TOKEN_METERS)
  return Object.fromEntries(
    Object.entries(prices).map(([meter, price]) => [
      meter,
      { nanoUsd: BigInt(price), per: tokens.has(meter) ? 1_000_000n : 1_000n },
    ]),
  )
}

export function row(overrides: Partial<PriceRow> = {}): PriceRow {
  return {
    key: 'standard',
    fromMs: 0,
    untilMs: FOREVER_MS,
    tier: 'standard',
    contextMin: 0,
    contextMax: CONTEXT_UNBOUNDED,
    rates: rates({ input: 2_000_000_000, cache_read: 200_000_000, output: 8_000_000_000 }),
    ...overrides,
  }
}

export function model(overrides: Partial<ModelPrice> = {}): ModelPrice {
  return {
    provider: 'acme',
    id: 'acme-chat',
    kind: 'chat',
    context: 128_000,
    inputMax: 128_000,
    outputMax: 16_384,
    tokenizer: { encoding: 'o200k_base', certainty: 'documented', bytesFactor: ratio('1'), ratioO200k: ratio('1') },
    imageTokensMax: 1_445,
    geography: {},
    rows: [row()],
    ...overrides,
  }
}

export function usage(quantities: Quantities, overrides: Partial<Usage> = {}): Usage {
  const of = (...meters: Meter[]) => meters.reduce((sum, meter) => sum + (quantities[meter] ?? 0), 0)
  return {
    quantities,
    inputTokens: of('input', 'cache_read', 'cache_write', 'cache_write_5m', 'cache_write_1h'),
    outputTokens: of('output'),
    consistent: true,
    ...overrides,
  }
}

/** A plain chat request with one user message, as a dialect would read it. */
export function askOf(text: string, overrides: Partial<Ask> = {}): Ask {
  const body = new TextEncoder().encode(JSON.stringify({ model: 'chat', messages: [{ role: 'user', content: text }] }))
  return {
    dialect: 'openai-chat',
    family: 'openai',
    operation: 'chat',
    model: 'chat',
    stream: false,
    body,
    textBytes: body.length,
    images: 0,
    mediaTokensMax: 0,
    hasTools: false,
    outputTokensMax: undefined,
    choices: 1,
    serviceTier: undefined,
    wantsStreamUsage: false,
    longCacheWrites: false,
    opaque: [],
    serverTools: [],
    otherModels: [],
    texts: () => [text],
    ...overrides,
  }
}
