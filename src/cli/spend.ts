import type { Command } from 'commander'
import type { DataFolder } from '../compose/data-folder.ts'
import { formatUsd } from '../domain/prices/money.ts'
import { SPEND_DIMENSIONS, spendBy } from '../domain/audit/spend.ts'
import type { SpendDimension, SpendReport } from '../domain/audit/spend.ts'
import { monthAt } from './month.ts'
import type { Cli } from './output.ts'
import { json, table, TamperedError, UsageError } from './output.ts'
import { readDataFolder, readSettings, withSettings } from './settings.ts'

interface SpendOptions {
  readonly config?: string
  readonly data?: string
  readonly by: string
  readonly month?: string
  readonly timezone: string
  readonly json?: boolean
}

/** `spend`: what was spent, by whom, folded from the signed log. */
export function addSpend(program: Command, cli: Cli): void {
  withSettings(program.command('spend'))
    .description('spend of one calendar month, read from the log; works without a running gateway')
    .option('--by <dimensions>', `comma-separated: ${SPEND_DIMENSIONS.join(', ')}`, 'team,model,agent')
    .option('--month <yyyy-mm>', 'calendar month; the current one without it')
    .option('--timezone <zone>', 'IANA zone whose calendar cuts the month', 'UTC')
    .option('--json', 'one JSON object')
    .action(async (options: SpendOptions) => spend(options, cli))
}

async function spend(options: SpendOptions, cli: Cli): Promise<void> {
  const by = readDimensions(options.by)
  const config = readSettings({ ...options, configFile: options.config })
  const month = monthAt(options.month, options.timezone, Date.now())
  const folder = readDataFolder(config)
  await refuseTampered(folder)
  const fold = spendBy(by, month.startMs, month.endMs)
  const logs = new Map<string, { first: number; last: number }>()
  for await (const record of folder.records()) {
    fold.add(record)
    const range = logs.get(record.log)
    if (range === undefined) logs.set(record.log, { first: record.seq, last: record.seq })
    else range.last = record.seq
  }
  const report = fold.report()
  const source = [...logs].map(([log, range]) => ({ log, ...range }))
  if (options.json === true)
    cli.terminal.out(json({ month: month.name, timezone: options.timezone, ...written(report), source }))
  else cli.terminal.out(printed(report, month.name))
}

/** Finance gets no sum from a log that is not what was signed. */
async function refuseTampered(folder: DataFolder): Promise<void> {
  const reports = await folder.verify(undefined)
  const tampered = reports.filter((report) => report.verdict === 'tampered').map((report) => report.log)
  if (tampered.length === 0) return
  throw new TamperedError(`${tampered.join(', ')}: not what was signed; see: tollgate audit verify`)
}

function readDimensions(text: string): readonly SpendDimension[] {
  return text.split(',').map((name) => {
    const found = SPEND_DIMENSIONS.find((dimension) => dimension === name.trim())
    if (found === undefined) throw new UsageError(`--by ${name}: one of ${SPEND_DIMENSIONS.join(', ')}`)
    return found
  })
}

/** A report with money as decimal dollars and as whole nano-dollars, so that sums can be compared exactly. */
function written(report: SpendReport): object {
  const money = (sum: SpendReport['total']) => ({
    calls: sum.calls,
    inputTokens: sum.inputTokens,
    outputTokens: sum.outputTokens,
    usd: formatUsd(sum.cost),
    nanoUsd: sum.cost,
    estimatedUsd: formatUsd(sum.estimated),
  })
  return {
    by: report.by,
    rows: report.rows.map((row) => ({
      ...Object.fromEntries(report.by.map((dimension, column) => [dimension, row.values[column] ?? ''])),
      ...money(row),
    })),
    total: money(report.total),
    open: { calls: report.open.calls, heldUsd: formatUsd(report.open.held) },
  }
}

function printed(report: SpendReport, month: string): string {
  const header = [...report.by, 'calls', 'input tokens', 'output tokens', 'usd']
  const cells = (values: readonly string[], sum: SpendReport['total']) => [
    ...values.map((value) => value || '-'),
    String(sum.calls),
    String(sum.inputTokens),
    String(sum.outputTokens),
    formatUsd(sum.cost),
  ]
  const rows = report.rows.map((row) => cells(row.values, row))
  const total = cells(
    report.by.map((_, column) => (column === 0 ? 'total' : '')),
    report.total,
  )
  const open =
    report.open.calls === 0
      ? ''
      : `\n${report.open.calls} calls are open and hold up to ${formatUsd(report.open.held)} USD; they are not in the total.`
  const { estimated } = report.total
  const partly =
    estimated === 0n ? '' : `\n${formatUsd(estimated)} USD of it are estimated: the provider reported no usage.`
  return `spend ${month}\n${table(header, [...rows, total])}${partly}${open}`
}
