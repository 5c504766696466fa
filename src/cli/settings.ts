import type { Command } from 'commander'
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
