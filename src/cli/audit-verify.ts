import type { Command } from 'commander'
import { openDataFolder } from '../compose/data-folder.ts'
import type { LogReport } from '../compose/data-folder.ts'
import type { Config } from '../config/config.ts'
import { parseVkey } from '../domain/audit/checkpoint.ts'
import { EXIT, json, UsageError } from './output.ts'
import type { Cli, ExitCode } from './output.ts'
import { readDataFolder, readSettings, withSettings } from './settings.ts'

interface VerifyOptions {
  readonly config?: string
  readonly data?: string
  readonly key?: string
  readonly json?: boolean
}

/** `audit verify`: every log of a data folder against its signed checkpoints, offline. */
export function addAuditVerify(audit: Command, cli: Cli): void {
  withSettings(audit.command('verify'))
    .description('verify every log of a data folder; exit 4 when one was tampered with')
    .option('--key <vkey>', "verification key from a place you trust; without it the key in the log's own folder")
    .option('--json', 'one JSON object')
    .action(async (options: VerifyOptions) => verify(options, cli))
}

async function verify(options: VerifyOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  if (options.key !== undefined) assertKey(options.key)
  const reports = await reportsOf(config, options.key)
  const code = exitOf(reports)
  cli.exit(code)
  if (options.json === true) return cli.terminal.out(json({ ok: code === EXIT.good, logs: reports }))
  for (const report of reports) for (const line of describe(report)) cli.terminal.out(line)
  cli.terminal.out(conclusion(reports, code))
}

/** A folder without logs is most likely a mistyped path; where keys say that there were logs, it is a finding. */
async function reportsOf(config: Config, key: string | undefined): Promise<readonly LogReport[]> {
  try {
    return await openDataFolder(config).verify(key)
  } catch (error) {
    readDataFolder(config)
    throw error
  }
}

function assertKey(vkey: string): void {
  try {
    parseVkey(vkey)
  } catch (error) {
    throw new UsageError(`--key: ${error instanceof Error ? error.message : String(error)}`)
  }
}

function exitOf(reports: readonly LogReport[]): ExitCode {
  if (reports.some((report) => report.verdict === 'tampered')) return EXIT.tampered
  if (reports.length === 0 || reports.some((report) => report.verdict === 'warning')) return EXIT.findings
  return EXIT.good
}

/** One line a finding, with every fact that names the record. */
function describe(report: LogReport): readonly string[] {
  // A log without a readable key has no origin that could be believed.
  const name = report.origin === '' ? report.log : report.origin
  const lines = report.findings.map(({ kind, severity, ...facts }) => {
    const named = Object.entries(facts).map(([fact, value]) => `${fact}=${String(value)}`)
    return `${name}: ${severity}: ${kind} ${named.join(' ')}`
  })
  return report.more > 0 ? [...lines, `${name}: and ${report.more} more`] : lines
}

function conclusion(reports: readonly LogReport[], code: ExitCode): string {
  if (reports.length === 0) return 'audit verify: nothing to verify: this data folder has no log'
  const records = reports.reduce((sum, report) => sum + report.size, 0)
  const logs = `${reports.length} ${reports.length === 1 ? 'log' : 'logs'}, ${records} records`
  const own = reports.some((report) => report.keyFrom === 'log.json')
  const trust = own ? '; key taken from the folder itself, pass --key to use one you trust' : ''
  if (code === EXIT.tampered) return `audit verify: TAMPERED (${logs}${trust})`
  return `audit verify: ${code === EXIT.good ? 'ok' : 'warnings'} (${logs}${trust})`
}
