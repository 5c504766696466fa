/**
 * `runs`: what one run of an agent may use, once and for all.
 */
import type { z } from 'zod'
import type { Dimension, RunRule } from '../../domain/policy/policy.ts'
import { key } from './policies-limits-schema.ts'
import { match } from './policies-match.ts'
import { block, duration, message, name, usd, wholeNumber } from './policies-values.ts'

const DAY_MS = 86_400_000

/** One thing that a run has so much of. */
export interface RunAmountText {
  readonly unit: RunRule['unit']
  readonly amount: number
}

const amounts = block({
  requests: wholeNumber(1).optional(),
  tokens: wholeNumber(1).optional(),
  usd: usd.optional(),
  duration: duration({
    minMs: 1_000,
    maxMs: 31 * DAY_MS,
    hint: 'a duration such as 90s, 30m or 8h, from 1s to 31d',
  }).optional(),
}).transform((written, context): readonly RunAmountText[] => {
  const found = [
    { unit: 'requests', amount: written.requests },
    { unit: 'tokens', amount: written.tokens },
    { unit: 'usd', amount: written.usd },
    { unit: 'ms', amount: written.duration },
  ] as const
  const given = found.flatMap(({ unit, amount }) => (amount === undefined ? [] : [{ unit, amount }]))
  const nothing = 'limits nothing: at least one of requests, tokens, usd and duration'
  if (given.length === 0) context.addIssue({ code: 'custom', message: nothing, input: written })
  return given
})

/** Whose runs they are: one agent's, unless the set says otherwise. */
const OWNER: readonly Dimension[] = ['tenant', 'agent']

/** The run itself ends every key: it is what the section is about, so nobody writes it. */
export function run(dimensions: readonly Dimension[]) {
  return block({
    name,
    match: match(dimensions),
    key: key(dimensions.filter((dimension) => dimension !== 'run'))
      .default([...OWNER])
      .transform((names): readonly Dimension[] => [...names, 'run']),
    limit: amounts,
    message: message.optional(),
  })
}

export type RunText = z.output<ReturnType<typeof run>>
