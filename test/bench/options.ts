import { parseArgs } from 'node:util'

/** What may be measured, in the order of the table. */
export const VARIANTS = ['direct', 'bare', 'embedded', 'redis'] as const
export type VariantName = (typeof VARIANTS)[number]

export interface Options {
  readonly rounds: number
  readonly seconds: number
  readonly json: string
  readonly only: readonly VariantName[]
}

/** Rounds and seconds that keep a run under half an hour, which is all a shared machine stays comparable for. */
const ROUNDS_MAX = 15
const SECONDS_MAX = 30

export const USAGE = `usage: npm run bench -- [--rounds N] [--seconds S] [--json FILE] [--only ${VARIANTS.join(',')}] [--quick]`

/** A wrong use of the command line, as a sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError'
}

export function readOptions(args: readonly string[]): Options {
  const { values } = parse(args)
  const { quick } = values
  return {
    rounds: within('--rounds', values.rounds ?? (quick ? '1' : '3'), { least: 1, most: ROUNDS_MAX, whole: true }),
    seconds: within('--seconds', values.seconds ?? (quick ? '0.5' : '3'), {
      least: 0.1,
      most: SECONDS_MAX,
      whole: false,
    }),
    json: values.json ?? 'bench-results/latest.json',
    only: variantsOf(values.only),
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  const options = {
    rounds: text,
    seconds: text,
    json: text,
    only: text,
    quick: { type: 'boolean', default: false },
  } as const
  try {
    return parseArgs({ args: [...args], options })
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function within(name: string, text: string, bound: { least: number; most: number; whole: boolean }): number {
  const value = Number(text)
  if (value >= bound.least && value <= bound.most && (!bound.whole || Number.isInteger(value))) return value
  throw new UsageError(`${name} ${text}: a ${bound.whole ? 'whole ' : ''}number from ${bound.least} to ${bound.most}`)
}

function variantsOf(text: string | undefined): readonly VariantName[] {
  if (text === undefined) return VARIANTS
  const wanted = text.split(',')
  const unknown = wanted.filter((name) => !VARIANTS.some((known) => known === name))
  if (unknown.length > 0) throw new UsageError(`--only ${unknown.join(',')}: choose from ${VARIANTS.join(', ')}`)
  return VARIANTS.filter((name) => wanted.includes(name))
}
