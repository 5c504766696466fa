import { rename, writeFile } from 'node:fs/promises'
import type { Command } from 'commander'
import { compose } from '../compose.ts'
import type { Gateway } from '../compose.ts'
import { StartFailed } from '../compose/rules.ts'
import type { Config } from '../config/config.ts'
import { createSecretReader } from '../config/environment.ts'
import { createLogger } from '../observability/logger.ts'
import type { Logger } from '../observability/logger.ts'
import type { Cli } from './output.ts'
import { issueDevelopmentTokens, welcome } from './development.ts'
import { EXIT } from './output.ts'
import { readSettings, withSettings } from './settings.ts'
import { openSockets } from './sockets.ts'
import type { Sockets } from './sockets.ts'

interface ServeOptions {
  readonly config?: string
  readonly data?: string
  readonly host?: string
  readonly port?: string
  readonly readyFile?: string
}

/** `serve`: runs the gateway until it is told to stop. */
export function addServe(program: Command, cli: Cli): void {
  withSettings(program.command('serve'))
    .description('run the gateway')
    .option('--host <address>', 'address to listen on')
    .option('--port <number>', 'port to listen on; 0 takes any free one')
    .option('--ready-file <file>', 'write {url, pid, tokens} there as JSON once the gateway listens')
    .action(async (options: ServeOptions) => serve(options, cli))
}

async function serve(options: ServeOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  const logger = createLogger(config.logLevel)
  let gateway: Gateway
  try {
    gateway = await compose(config, createSecretReader(), logger)
  } catch (error) {
    if (!(error instanceof StartFailed)) throw error
    cli.terminal.talk(error.message)
    return cli.exit(EXIT.findings)
  }
  const stopped = untilStopped(logger)
  await using running = gateway
  await using sockets = await openSockets(running, config)
  await announce({ sockets, options, config, gateway, cli })
  logger.info({ url: sockets.url }, 'listening')
  await stopped
  await drain({ sockets, gateway, config, logger })
}

async function announce(input: {
  readonly sockets: Sockets
  readonly options: ServeOptions
  readonly config: Config
  readonly gateway: Gateway
  readonly cli: Cli
}): Promise<void> {
  const { sockets, options, config, gateway, cli } = input
  const { url, adminUrl } = sockets
  const tokens = config.development ? await issueDevelopmentTokens(gateway.issuer, config) : undefined
  if (tokens !== undefined) cli.terminal.out(welcome(url, tokens, config))
  if (options.readyFile === undefined) return
  // Written aside and renamed: whoever sees the file sees all of it.
  const aside = `${options.readyFile}.${process.pid}`
  await writeFile(aside, JSON.stringify({ url, adminUrl, pid: process.pid, ...(tokens && { tokens }) }), {
    mode: 0o600,
  })
  await rename(aside, options.readyFile)
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function untilStopped(logger: Logger): Promise<void> {
  return new Promise((resolve) => {
    let asked = false
    const stop = (signal: NodeJS.Signals) => {
      if (asked) process.exit(EXIT.unfinished)
      asked = true
      logger.info({ signal }, 'stopping')
      resolve()
    }
    process.on('SIGTERM', stop)
    process.on('SIGINT', stop)
  })
}

/** Streams run to their end or to the drain limit, and everything is settled and signed. */
async function drain(input: {
  readonly sockets: Sockets
  readonly gateway: Gateway
  readonly config: Config
  readonly logger: Logger
}): Promise<void> {
  const { sockets, gateway, config, logger } = input
  gateway.drain()
  const limit = setTimeout(() => {
    logger.warn({ open: gateway.openCalls.count() }, 'drain limit reached: giving up open calls')
    gateway.openCalls.haltAll()
    setTimeout(() => sockets.cut(), HALTED_GRACE_MS).unref()
  }, config.shutdown.drainMs)
  await sockets.close()
  await gateway.openCalls.idle()
  clearTimeout(limit)
  logger.info('drained')
}

/** Time for the error frames of given-up streams to leave before their connections are cut. */
const HALTED_GRACE_MS = 1_000
