import { parseArgs } from 'node:util'
import { UsageError } from '../options.ts'
import { CONTESTANTS } from './contestant.ts'
import type { ContestantName } from './contestant.ts'

export interface LedgerOptions {
  readonly rounds: number
  readonly seconds: number
  /** Sizes of the store at which the cost is measured again; none leaves that part out. */
  readonly identities: readonly number[]
  readonly only: readonly ContestantName[]
  readonly json: string
}

export const LEDGER_USAGE = `usage: npm run bench -- ledger [--rounds N] [--seconds S] [--identities 1000,100000] [--only ${CONTESTANTS.join(',')}] [--json FILE] [--quick]`

/** Rounds and seconds that keep a run under half an hour, which is all a shared machine stays comparable for. */
const ROUNDS_MAX = 15
const SECONDS_MAX = 10

/** A store of this many identities takes minutes to fill and some gigabytes. */
const IDENTITIES_MAX = 5_000_000

export function readLedgerOptions(args: readonly string[]): LedgerOptions {
  const { rounds, seconds, identities, only, json, quick } = parse(args)
  return {
    rounds: within('--rounds', rounds ?? (quick ? '1' : '5'), { least: 1, most: ROUNDS_MAX }),
    seconds: within('--seconds', seconds ?? (quick ? '0.05' : '0.5'), { least: 0.01, most: SECONDS_MAX }),
    identities: (identities ?? (quick ? '100,1000' : '1000,100000,1000000'))
      .split(',')
      .filter((text) => text !== '' && text !== '0')
      .map((text) => within('--identities', text, { least: 1, most: IDENTITIES_MAX })),
    only: contestantsOf(only),
    json: json ?? 'bench-results/ledger.json',
  }
}

function parse(args: readonly string[]) {
  const text = { type: 'string' } as const
  const options = {
    rounds: text,
    seconds: text,
    identities: text,
    only: text,
    json: text,
    quick: { type: 'boolean', default: false },
  } as const
  try {
    return parseArgs({ args: [...args], options }).values
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error))
  }
}

function within(name: string, text: string, { least, most }: { least: number; most: number }): number {
  const value = Number(text)
  if (value >= least && value <= most && (name === '--seconds' || Number.isInteger(value))) return value
  throw new UsageError(`${name} ${text}: a ${name === '--seconds' ? '' : 'whole '}number from ${least} to ${most}`)
}

function contestantsOf(text: string | undefined): readonly ContestantName[] {
  const wanted = text?.split(',') ?? CONTESTANTS
  const unknown = wanted.filter((name) => !CONTESTANTS.some((known) => known === name))
  if (unknown.length > 0) throw new UsageError(`--only ${unknown.join(',')}: choose from ${CONTESTANTS.join(', ')}`)
  return CONTESTANTS.filter((name) => wanted.includes(name))
}
