/**
 * `npm run bench`: what a call costs, side by side in one run: the same upstream, the same load, the variants taking
 * turns within every round so that a busy minute of the machine hits them all. Figures are medians over the rounds; only
 * ratios mean anything on another machine.
 */
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { cpus, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { startServer, startWorker } from './child.ts'
import type { Child } from './child.ts'
import { benchLedger } from './ledger/bench.ts'
import { LEDGER_USAGE, readLedgerOptions } from './ledger/options.ts'
import { measure } from './measure.ts'
import type { Sample } from './measure.ts'
import { readOptions, USAGE, UsageError } from './options.ts'
import type { Options, VariantName } from './options.ts'
import { printTable, summarize } from './report.ts'
import type { Samples } from './report.ts'
import { SCENARIOS } from './scenarios.ts'
import { startVariant } from './variants.ts'
import type { Variant } from './variants.ts'

/** The part of a measurement that is spent before it on warming up: caches, pools and the compiler of the engine. */
const WARM_UP_PART = 0.3

const talk = (line: string) => process.stderr.write(`${line}\n`)

async function bench(options: Options): Promise<void> {
  await using parts = new AsyncDisposableStack()
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-bench-'))
  parts.defer(() => rmSync(folder, { recursive: true, force: true }))
  const upstream = parts.use(await startServer('upstream')).url
  const load = parts.use(startWorker('load'))
  const variants: Variant[] = []
  for (const name of options.only) {
    talk(`starting ${name}`)
    variants.push(await startVariant(name, { upstream, folder, parts }))
  }
  const stopped = stopSignal()
  const samples = new Map(SCENARIOS.map(({ name }) => [name, new Map<VariantName, Sample[]>()]))
  let complete = false
  try {
    for (let round = 1; round <= options.rounds && !stopped.aborted; round += 1) {
      talk(`round ${round} of ${options.rounds}`)
      await playRound({ variants: rotate(variants, round - 1), load, seconds: options.seconds, samples, stopped })
    }
    complete = !stopped.aborted
  } finally {
    // A call that failed fails the run, but what was measured before it is shown, as what it is.
    conclude(samples, options, complete)
  }
  if (!complete) throw new Error('stopped before its end')
}

async function playRound(round: {
  readonly variants: readonly Variant[]
  readonly load: Child
  readonly seconds: number
  readonly samples: ReadonlyMap<string, Map<VariantName, Sample[]>>
  readonly stopped: AbortSignal
}): Promise<void> {
  const { variants, load, seconds, samples, stopped } = round
  for (const scenario of SCENARIOS) {
    const able = variants.filter((variant) => scenario.refused !== true || variant.brokeToken !== undefined)
    for (const variant of able) {
      if (stopped.aborted) return
      await measure(variant, { scenario, seconds: seconds * WARM_UP_PART, load })
      const sample = await measure(variant, { scenario, seconds, load })
      talk(`  ${scenario.name}: ${variant.name}: ${sample.callsPerSecond.toFixed(0)} calls/s`)
      const byVariant = samples.get(scenario.name)
      byVariant?.set(variant.name, [...(byVariant.get(variant.name) ?? []), sample])
    }
  }
}

/** Each round begins with another variant, so that none always follows the same neighbour. */
function rotate<T>(values: readonly T[], by: number): readonly T[] {
  const start = values.length === 0 ? 0 : by % values.length
  return [...values.slice(start), ...values.slice(0, start)]
}

/** The first signal ends the run after the measurement under way, and everything that was started with it. */
function stopSignal(): AbortSignal {
  const stop = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stop.abort())
  return stop.signal
}

function conclude(samples: Samples, { json, rounds, seconds, only }: Options, complete: boolean): void {
  const rows = summarize(samples).toSorted((a, b) => place(a.scenario, a.variant) - place(b.scenario, b.variant))
  const machine = { cpus: cpus().length, model: cpus()[0]?.model ?? 'unknown', node: process.version }
  mkdirSync(dirname(json), { recursive: true })
  writeFileSync(json, `${JSON.stringify({ complete, machine, rounds, seconds, variants: only, rows }, null, 2)}\n`)
  const warning = complete ? '' : 'INCOMPLETE: the run did not come to its end; do not quote these figures.\n'
  process.stdout.write(
    `${printTable(rows)}\n\n${machine.cpus} x ${machine.model}, Node ${machine.node}; written to ${json}\n${warning}`,
  )

  function place(scenario: string, variant: VariantName): number {
    return SCENARIOS.findIndex(({ name }) => name === scenario) * only.length + only.indexOf(variant)
  }
}

async function main(args: readonly string[]): Promise<void> {
  if (args[0] === 'ledger') return benchLedger(readLedgerOptions(args.slice(1)))
  return bench(readOptions(args))
}

try {
  await main(process.argv.slice(2))
} catch (error) {
  const wrongUse = error instanceof UsageError
  talk(
    wrongUse
      ? `${error.message}\n${USAGE}\n${LEDGER_USAGE}`
      : `bench: ${error instanceof Error ? error.message : String(error)}`,
  )
  process.exitCode = wrongUse ? 2 : 1
}
