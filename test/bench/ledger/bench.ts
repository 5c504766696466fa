/**
 * `npm run bench -- ledger`: what one decision costs over 1 to 12 accumulators, beside one INCRBY and beside the library
 * that most Node services count with, the contestants taking turns within every round; then what it costs when many
 * identities have been counted. Figures are medians over the rounds; only ratios mean anything on another machine.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startContestant } from './contestants.ts'
import type { Contestant, ContestantName } from './contestant.ts'
import { grow } from './growth.ts'
import type { Grown } from './growth.ts'
import { measure } from './measure.ts'
import type { LedgerOptions } from './options.ts'
import { printCost, printGrowth, summarize } from './report.ts'
import type { Measured } from './report.ts'

/** Callers that take turns; the reference of these figures has as many. */
const IDENTITIES = 5_000

/** The part of a measurement that is spent before it on warming up. */
const WARM_UP_PART = 0.3

/** Whose growth is of interest: the product's own. */
const GROWING: readonly ContestantName[] = ['memory', 'redis', 'cluster']

const talk = (line: string) => process.stderr.write(`${line}\n`)

export async function benchLedger(options: LedgerOptions): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  try {
    const measured = await measureCost(options, folder)
    const grown = await measureGrowth(options, folder)
    conclude(options, measured, grown)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

async function measureCost(options: LedgerOptions, folder: string): Promise<readonly Measured[]> {
  await using parts = new AsyncDisposableStack()
  const contestants: Contestant[] = []
  for (const name of options.only) contestants.push(await startContestant(name, folder, parts))
  const measured: Measured[] = []
  for (let round = 1; round <= options.rounds; round += 1) {
    talk(`round ${round} of ${options.rounds}`)
    for (const contestant of rotate(contestants, round - 1)) {
      for (const size of contestant.sizes) {
        await measure(contestant, size, { seconds: options.seconds * WARM_UP_PART, identities: IDENTITIES })
        const sample = await measure(contestant, size, { seconds: options.seconds, identities: IDENTITIES })
        measured.push({ contestant: contestant.name, size, sample })
      }
    }
  }
  return measured.toSorted((a, b) => place(a.contestant, options) - place(b.contestant, options) || a.size - b.size)
}

/** Each size has a store of its own: what an earlier one left would be counted again. */
async function measureGrowth(options: LedgerOptions, folder: string): Promise<readonly Grown[]> {
  const grown: Grown[] = []
  for (const name of GROWING.filter((known) => options.only.includes(known))) {
    for (const identities of options.identities) {
      talk(`${name}: ${identities} identities`)
      await using parts = new AsyncDisposableStack()
      const contestant = await startContestant(name, folder, parts)
      grown.push(await grow(contestant, { identities, seconds: options.seconds * options.rounds }))
    }
  }
  return grown
}

function conclude(options: LedgerOptions, measured: readonly Measured[], grown: readonly Grown[]): void {
  const rows = summarize(measured)
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? 'unknown', node: process.version }
  mkdirSync(dirname(options.json), { recursive: true })
  writeFileSync(options.json, `${JSON.stringify({ machine, ...options, rows, grown }, null, 2)}\n`)
  const growth = grown.length === 0 ? '' : `\n\n${printGrowth(grown)}`
  const where = `${machine.cpus} x ${machine.model}, Node ${machine.node}; written to ${options.json}`
  process.stdout.write(`${printCost(rows)}${growth}\n\n${where}\n`)
}

/** Each round begins with another contestant, so that none always follows the same neighbour. */
function rotate<T>(values: readonly T[], by: number): readonly T[] {
  const start = values.length === 0 ? 0 : by % values.length
  return [...values.slice(start), ...values.slice(0, start)]
}

function place(name: ContestantName, { only }: LedgerOptions): number {
  return only.indexOf(name)
}
