import type { Command } from 'commander'
import { queryRecords } from '../adapters/audit-log/query.ts'
import type { Cli } from './output.ts'
import { readSettings, withSettings } from './settings.ts'

export function addAudit(program: Command, cli: Cli): void {
  const audit = program.command('audit')
  withSettings(audit.command('query')).action(async (options: { config?: string; data?: string }) => {
    const config = readSettings({ ...options, configFile: options.config })
    for await (const record of queryRecords(config.dataDir, {})) cli.terminal.out(JSON.stringify(record))
  })
}
