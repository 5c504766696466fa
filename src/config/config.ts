/**
 * The process configuration: where to listen, where data, policies and prices are, which ledger, how durable the log.
 * Read once at start; what may change while running (policies, prices) is not in it.
 */
import { readFileSync } from 'node:fs'
import { dirname, resolve } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseDocument } from 'yaml'
import { z } from 'zod'
import type { Environment } from './environment.ts'
import { ledgerOf, ledgerSchema } from './ledger-config.ts'
import type { LedgerConfig } from './ledger-config.ts'

/** Largest configuration file accepted. */
const CONFIG_BYTES_MAX = 256 * 1024

const PORT_MAX = 65_535

const LOG_LEVELS = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

const port = z.int().min(0).max(PORT_MAX)

const schema = z.strictObject({
  listen: z
    .strictObject({
      host: z.string().min(1).default('127.0.0.1'),
      port: port.default(8787),
      adminPort: port.nullable().default(null),
    })
    .prefault({}),
  data: z.string().min(1).default('.tollgate'),
  policies: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).default('./policies'),
  pricing: z.union([z.string().min(1), z.array(z.string().min(1)).min(1)]).default('./pricing'),
  ledger: ledgerSchema.prefault({ kind: 'memory' }),
  audit: z.strictObject({ durability: z.enum(['disk', 'process']).default('disk') }).prefault({}),
  shutdown: z.strictObject({ drainSeconds: z.int().min(0).max(3_600).default(120) }).prefault({}),
})

export interface Config {
  /** Development: started without a configuration; loopback only, tokens are printed. */
  readonly development: boolean
  readonly listen: { readonly host: string; readonly port: number; readonly adminPort: number | undefined }
  readonly dataDir: string
  readonly policyPaths: readonly string[]
  readonly pricingPaths: readonly string[]
  readonly ledger: LedgerConfig
  readonly audit: { readonly durability: 'disk' | 'process' }
  readonly shutdown: { readonly drainMs: number }
  readonly logLevel: LogLevel
}

export type ConfigResult =
  | { readonly kind: 'loaded'; readonly config: Config }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }

/** What the command line may override. */
export interface Overrides {
  readonly configFile?: string | undefined
  readonly host?: string | undefined
  readonly port?: string | undefined
  readonly data?: string | undefined
}

/** Files shipped with the package: the policies and prices of development. */
const SHIPPED = fileURLToPath(new URL('../../', import.meta.url))

/** Loads the configuration; without a file it is the development one. All faults are reported at once. */
export function loadConfig(overrides: Overrides, environment: Environment): ConfigResult {
  const file = overrides.configFile ?? environment.configFile
  const read = file === undefined ? { kind: 'value' as const, value: development() } : readFile(file)
  if (read.kind === 'invalid') return read
  const parsed = schema.safeParse(read.value)
  if (!parsed.success) {
    const problems = parsed.error.issues.map((issue) =>
      [file ?? 'config', ...(issue.path.length > 0 ? [issue.path.join('.')] : []), issue.message].join(': '),
    )
    return { kind: 'invalid', problems }
  }
  return finish(parsed.data, { file, overrides, environment })
}

function development(): z.input<typeof schema> {
  return { policies: resolve(SHIPPED, 'policies/default.yaml'), pricing: resolve(SHIPPED, 'pricing') }
}

function readFile(file: string): { kind: 'value'; value: unknown } | { kind: 'invalid'; problems: string[] } {
  let text: string
  try {
    text = readFileSync(file, 'utf8')
  } catch {
    return { kind: 'invalid', problems: [`${file}: cannot be read; pass --config with the path of a readable file`] }
  }
  if (text.length > CONFIG_BYTES_MAX)
    return { kind: 'invalid', problems: [`${file}: larger than ${CONFIG_BYTES_MAX} bytes`] }
  const document = parseDocument(text, { version: '1.2', uniqueKeys: true })
  if (document.errors.length > 0) {
    return { kind: 'invalid', problems: document.errors.map((error) => `${file}: ${error.message}`) }
  }
  return { kind: 'value', value: document.toJS({ maxAliasCount: 10 }) ?? {} }
}

interface Sources {
  readonly file: string | undefined
  readonly overrides: Overrides
  readonly environment: Environment
}

function finish(data: z.output<typeof schema>, sources: Sources): ConfigResult {
  const { file, overrides } = sources
  const base = file === undefined ? process.cwd() : dirname(resolve(file))
  const at = (path: string) => resolve(base, path)
  const chosen = choose(data, sources, at)
  if (chosen.kind === 'invalid') return chosen
  const list = (paths: string | readonly string[]) => (typeof paths === 'string' ? [at(paths)] : paths.map(at))
  const config: Config = {
    development: file === undefined,
    listen: {
      host: overrides.host ?? data.listen.host,
      port: chosen.port,
      adminPort: data.listen.adminPort ?? undefined,
    },
    dataDir: overrides.data === undefined ? at(data.data) : resolve(overrides.data),
    policyPaths: list(data.policies),
    pricingPaths: list(data.pricing),
    ledger: chosen.ledger,
    audit: data.audit,
    shutdown: { drainMs: data.shutdown.drainSeconds * 1_000 },
    logLevel: chosen.logLevel,
  }
  return config.development ? loopbackOnly(config) : { kind: 'loaded', config }
}

type Chosen = { readonly kind: 'chosen'; readonly port: number } & Pick<Config, 'ledger' | 'logLevel'>

/** What the command line and the environment have a say in. */
function choose(
  data: z.output<typeof schema>,
  { overrides, environment }: Sources,
  at: (path: string) => string,
): Chosen | Extract<ConfigResult, { kind: 'invalid' }> {
  const portText = overrides.port ?? environment.port
  const port = portOf(portText, data.listen.port)
  const ledger = ledgerOf(data.ledger, { environment, at })
  const level = environment.logLevel ?? 'info'
  const logLevel = LOG_LEVELS.find((known) => known === level)
  if (port !== undefined && typeof ledger !== 'string' && logLevel !== undefined) {
    return { kind: 'chosen', port, ledger, logLevel }
  }
  const problems = [
    port === undefined ? `--port or PORT: ${portText}: a whole number from 0 to ${PORT_MAX}` : undefined,
    typeof ledger === 'string' ? ledger : undefined,
    logLevel === undefined ? `TOLLGATE_LOG_LEVEL: ${level}: one of ${LOG_LEVELS.join(', ')}` : undefined,
  ]
  return { kind: 'invalid', problems: problems.filter((problem) => problem !== undefined) }
}

function portOf(text: string | undefined, fallback: number): number | undefined {
  if (text === undefined) return fallback
  const value = Number(text)
  return /^\d{1,5}$/.test(text) && value <= PORT_MAX ? value : undefined
}

const LOOPBACK = new Set(['127.0.0.1', '::1', 'localhost'])

/** Development prints tokens and ships a key of its own, so nobody else may reach it. */
function loopbackOnly(config: Config): ConfigResult {
  if (LOOPBACK.has(config.listen.host)) return { kind: 'loaded', config }
  const fix = 'without --config the gateway listens on loopback only; write a tollgate.yaml and pass --config'
  return { kind: 'invalid', problems: [`listen.host: ${config.listen.host}: ${fix}`] }
}
