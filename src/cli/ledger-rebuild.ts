import type { Command } from 'commander'
import { openStoredLedger } from '../compose/data-folder.ts'
import { beginAgain, compare, rebuild } from '../compose/rebuild.ts'
import { loadRules } from '../compose/rules.ts'
import type { LedgerDifference } from '../domain/ledger/ledger-difference.ts'
import { writeAmount } from '../domain/audit/record-texts.ts'
import type { Cli } from './output.ts'
import { EXIT, json, table, UsageError } from './output.ts'
import { readSettings, withSettings } from './settings.ts'

interface RebuildOptions {
  readonly config?: string
  readonly data?: string
  readonly logs: readonly string[]
  readonly without: readonly string[]
  readonly dryRun?: boolean
  readonly json?: boolean
}

const collect = (value: string, all: readonly string[]) => [...all, value]

/** `ledger rebuild`: tells a shared ledger what the logs say, or only shows where it differs. */
export function addRebuild(ledger: Command, cli: Cli): void {
  withSettings(ledger.command('rebuild'))
    .description('tell a shared ledger what the logs say; while that lasts, nothing is admitted')
    .option('--dry-run', 'only show where ledger and logs differ')
    .option('--logs <folder>', 'data folder of another gateway, to compare with; can be repeated', collect, [])
    .option('--without <origin>', 'do not wait for this log, whose spend is lost; can be repeated', collect, [])
    .option('--json', 'one JSON object')
    .action(async (options: RebuildOptions) => run(options, cli))
}

async function run(options: RebuildOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  const rules = await loadRules(config, Date.now())
  if (rules.kind === 'invalid') throw new UsageError('the policy or price files are wrong; run tollgate check')
  await using ledger = openStoredLedger(config)
  if (ledger === undefined) {
    throw new UsageError('the ledger is in the memory of the gateway, which tells it what its logs say at every start')
  }
  const { policy } = rules
  const found = await compare({ ledger, policy }, [config.dataDir, ...options.logs])
  if (options.dryRun === true) return show(found, options, cli)
  const rebuilding = { ledger, policy, dataDir: config.dataDir }
  const seen = await ledger.store.view()
  if (seen.state === 'open' && found.length > 0) await beginAgain(rebuilding, seen)
  const { state, waitingFor } = await rebuild(rebuilding, options.without)
  if (options.json === true) cli.terminal.out(json({ state, waitingFor }))
  else cli.terminal.out(state === 'open' ? 'the ledger is open' : `the ledger is ${state}`)
  if (state === 'open') return
  cli.terminal.talk(`waiting for ${waitingFor.join(', ')}: start that gateway, or give its log up with --without`)
  cli.exit(EXIT.unfinished)
}

function show(found: readonly LedgerDifference[], options: RebuildOptions, cli: Cli): void {
  const rows = found.map(({ unit, log, ledger, difference, ...named }) => ({
    ...named,
    unit,
    log: writeAmount(unit, log),
    ledger: writeAmount(unit, ledger),
    difference: writeAmount(unit, difference),
  }))
  if (options.json === true) cli.terminal.out(json({ differences: rows }))
  else {
    cli.terminal.out(`${rows.length} differences`)
    const header = ['rule', 'accumulator', 'unit', 'log', 'ledger', 'difference']
    const cells = rows.map(({ rule, key, unit, log, ledger, difference }) => [
      rule,
      key,
      unit,
      String(log),
      String(ledger),
      String(difference),
    ])
    if (rows.length > 0) cli.terminal.out(table(header, cells))
  }
  if (rows.length > 0) cli.exit(EXIT.findings)
}
