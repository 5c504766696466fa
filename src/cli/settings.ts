import { existsSync } from 'node:fs'
import { join } from 'node:path'
import type { Command } from 'commander'
import { openDataFolder } from '../compose/data-folder.ts'
import type { DataFolder } from '../compose/data-folder.ts'
import { loadConfig } from '../config/config.ts'
import type { Config, Overrides } from '../config/config.ts'
import { readEnvironment } from '../config/environment.ts'
import { UsageError } from './output.ts'

/** Adds the options that say which configuration a command works on. */
export function withSettings(command: Command): Command {
  return command
    .option('--config <file>', 'configuration file (tollgate.yaml); without it the development defaults apply')
    .option('--data <dir>', 'data folder, instead of the configured one')
}

/** Loads the configuration a command works on; every fault is named at once. */
export function readSettings(overrides: Overrides): Config {
  const read = readEnvironment()
  if (read.kind === 'invalid') throw new UsageError(read.message)
  const loaded = loadConfig(overrides, read.environment)
  if (loaded.kind === 'invalid') throw new UsageError(loaded.problems.join('\n       '))
  return loaded.config
}

/** The data folder that a command reads; one without records is most likely a mistyped path. */
export function readDataFolder(config: Config): DataFolder {
  const records = join(config.dataDir, 'audit')
  if (existsSync(records)) return openDataFolder(config)
  throw new UsageError(`${records}: no such folder; pass --data with the data folder of a gateway that has run`)
}
