/**
 * Shape of one price file. Every object is strict: a key that is not known here is a mistake, and a mistake about money
 * is refused rather than ignored.
 */
import { z } from 'zod'
import { parseRatio } from '../../domain/prices/prices.ts'
import { METERS } from '../../domain/prices/usage.ts'

/** Bounds of one file, far above the largest real provider, so that a hostile file cannot cost unbounded time. */
const MODELS_MAX = 2_000
const ROWS_MAX = 200
const NAMES_MAX = 50
const NAME = /^[A-Za-z0-9][A-Za-z0-9._:/@-]{0,127}$/
const WORD = /^[a-z0-9][a-z0-9_-]{0,31}$/

/** V1. Quoted, because YAML would read a bare 0.1 as a binary fraction, and no bare number says how it was written. */
const PRICE = /^\d{1,7}(\.\d{1,9})?$/
const price = z
  .string({ error: 'must be a quoted decimal string of US dollars, such as "0.25"' })
  .regex(
    PRICE,
    'must be a decimal such as "0.25": at most 7 digits before the point and 9 after it, no sign, no exponent',
  )

const ratio = z
  .string({ error: 'must be a quoted decimal string, such as "1.1"' })
  .refine(
    (text) => parseRatio(text) !== undefined,
    'must be a decimal such as "1.1", with at most 6 digits after the point',
  )

const name = z.string().regex(NAME, 'must be a name of letters, digits and . _ : / @ -, at most 128 characters')
const word = z.string().regex(WORD, 'must be a lower-case word, at most 32 characters')
const sentence = z.string().min(3, 'must say why, in a few words').max(500)
const tokens = z.int('must be a whole number').min(1).max(1_000_000_000)

const instant = z
  .string()
  .refine(
    (text) => instantMs(text) !== undefined,
    'must be a date (2026-08-21) or a UTC instant (2026-08-21T12:00:00Z)',
  )

/** Milliseconds of a date (its first instant in UTC) or a UTC instant; undefined when it is neither or does not exist. */
export function instantMs(text: string): number | undefined {
  if (!/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}:\d{2}Z)?$/.test(text)) return undefined
  const ms = Date.parse(text)
  // Date.parse rolls 30 February over into March; reading the text back finds such dates.
  const exists = !Number.isNaN(ms) && new Date(ms).toISOString().startsWith(text.replace('Z', ''))
  return exists ? ms : undefined
}

const row = z.strictObject({
  key: name,
  from: instant.optional(),
  until: instant.optional(),
  tier: word,
  context: z.strictObject({ min: z.int().min(0).optional(), max: z.int().min(0).optional() }).optional(),
  rates: z.partialRecord(z.enum(METERS), price),
  /** Meters the vendor prices for this row but no source states; a call that uses one is unpriced. */
  missing: z.array(z.enum(METERS)).max(METERS.length).default([]),
  promotion: z.literal(true).optional(),
  free: z.literal(true).optional(),
  /** Why the row is free. */
  reason: sentence.optional(),
  /** Why a change of more than 60 % is right. */
  confirm: sentence.optional(),
  source: z.strictObject({ url: z.url({ protocol: /^https$/ }), checked: instant }),
})

const model = z.strictObject({
  id: name,
  kind: z.literal('chat'),
  status: z.enum(['served', 'deprecated', 'retired']),
  aliases: z.array(name).max(NAMES_MAX).default([]),
  snapshots: z.array(name).max(NAMES_MAX).default([]),
  /** Replaces the entry of the same id in another file. */
  overrides: z.literal(true).optional(),
  /** Why it replaces it. */
  reason: sentence.optional(),
  limits: z.strictObject({ context: tokens, max_input: tokens.optional(), max_output: tokens.optional() }).optional(),
  tokenizer: z.strictObject({
    encoding: z.enum(['o200k_base', 'cl100k_base']).optional(),
    certainty: z.enum(['documented', 'assumed', 'measured']),
    bytes_factor: ratio,
    ratio_o200k: ratio,
  }),
  images: z.strictObject({ max_tokens: tokens }).optional(),
  geography: z.record(word, ratio).default({}),
  extreme: z.literal(true).optional(),
  agreed_by: z.array(z.string().min(1)).min(1).max(NAMES_MAX).optional(),
  single_source: z.literal(true).optional(),
  rows: z.array(row).min(1).max(ROWS_MAX),
})

const serviceTiers = z.strictObject({
  reported: z.record(word, word).default({}),
  possible: z.record(word, z.array(word).min(1).max(NAMES_MAX)).default({}),
})

export const priceFile = z.strictObject({
  schema: z.literal('tollgate/pricing/1'),
  provider: word,
  currency: z.literal('USD'),
  service_tiers: serviceTiers.optional(),
  models: z.array(model).min(1).max(MODELS_MAX),
})

export type PriceFile = z.infer<typeof priceFile>
export type PriceFileModel = z.infer<typeof model>
export type PriceFileRow = z.infer<typeof row>
