import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { systemClock } from '../../src/adapters/system/clock.ts'
import { openBuiltinIssuer } from '../../src/adapters/tokens/builtin-issuer.ts'
import type { TokenRequest } from '../../src/adapters/tokens/builtin-issuer.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))
const MAIN = join(ROOT, 'src/main.ts')

/** A cold start on a busy machine takes a few seconds; this is far above it. */
const START_TIMEOUT_MS = 60_000

export interface GatewayOptions {
  /** Text of one policy file. */
  readonly policies: string
  readonly redisUrl?: string
  /** Nodes of a Redis Cluster, as `host:port`. */
  readonly clusterNodes?: readonly string[]
  /** Bound of one command to Redis; long without it, because a busy machine is no outage. */
  readonly commandTimeoutMs?: number
  /** Use this folder (and what is in it) instead of a fresh one. */
  readonly dir?: string
  readonly env?: Readonly<Record<string, string>>
  /** How long a stopping gateway waits for open calls; ten seconds without it. */
  readonly drainSeconds?: number
  /** Largest file the process may write, in the blocks of `ulimit -f`: a disk that is full. */
  readonly fileBlocksMax?: number
}

export interface RunningGateway extends AsyncDisposable {
  readonly url: string
  readonly dir: string
  readonly dataDir: string
  readonly configFile: string
  readonly child: ChildProcess
  /** Everything the process wrote to stderr so far. */
  readonly log: () => string
  token(request?: Partial<TokenRequest>): Promise<string>
  /** SIGTERM and wait; resolves with the exit code. */
  stop(): Promise<number | null>
  /** SIGKILL and wait. */
  kill(): Promise<void>
}

/** Writes a configuration for a gateway into a folder and answers the configuration file's path. */
export async function configureGateway(options: GatewayOptions): Promise<{ dir: string; configFile: string }> {
  const dir = options.dir ?? (await mkdtemp(join(tmpdir(), 'tollgate-test-')))
  await mkdir(join(dir, 'policies'), { recursive: true })
  await writeFile(join(dir, 'policies', 'test.yaml'), options.policies)
  const ledger = ledgerOf(options)
  const config = {
    listen: { host: '127.0.0.1', port: 0 },
    data: './data',
    policies: './policies',
    pricing: join(ROOT, 'pricing'),
    ledger,
    shutdown: { drainSeconds: options.drainSeconds ?? 10 },
  }
  const configFile = join(dir, 'tollgate.yaml')
  await writeFile(configFile, JSON.stringify(config))
  return { dir, configFile }
}

/** Far above what an answer takes on a machine that does ten things at once. */
const PATIENT_MS = 3_000

function ledgerOf({ redisUrl, clusterNodes, commandTimeoutMs = PATIENT_MS }: GatewayOptions): object {
  if (clusterNodes !== undefined) return { kind: 'redis-cluster', nodes: clusterNodes, commandTimeoutMs }
  return redisUrl === undefined ? { kind: 'memory' } : { kind: 'redis', url: redisUrl, commandTimeoutMs }
}

/** Starts the real gateway as a process of its own and waits until it listens. */
export async function startGateway(options: GatewayOptions): Promise<RunningGateway> {
  const { dir, configFile } = await configureGateway(options)
  const readyFile = join(dir, 'ready.json')
  await rm(readyFile, { force: true })
  const command = [process.execPath, MAIN, 'serve', '--config', configFile, '--ready-file', readyFile]
  const [file = '', ...args] = options.fileBlocksMax === undefined ? command : limited(options.fileBlocksMax, command)
  const child = spawn(file, args, {
    cwd: dir,
    env: { ...process.env, ...options.env },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let log = ''
  child.stderr.on('data', (chunk: Buffer) => {
    log += chunk.toString()
  })
  const exited = once(child, 'exit')
  const url = await untilReady(child, readyFile, () => log)
  const dataDir = join(dir, 'data')
  const stop = async (signal: 'SIGTERM' | 'SIGKILL') => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal)
    await exited
    return child.exitCode
  }
  return {
    url,
    dir,
    dataDir,
    configFile,
    child,
    log: () => log,
    token: (request) => tokenOf(dataDir, request),
    stop: () => stop('SIGTERM'),
    async kill() {
      await stop('SIGKILL')
    },
    async [Symbol.asyncDispose]() {
      await stop('SIGKILL')
      if (options.dir === undefined) await rm(dir, { recursive: true, force: true })
    },
  }
}

/** A token of the built-in issuer that keeps its key in this data folder. */
export async function tokenOf(dataDir: string, request: Partial<TokenRequest> = {}): Promise<string> {
  const issuer = await openBuiltinIssuer({ dir: join(dataDir, 'keys'), clock: systemClock })
  return issuer.issue({ ...DEFAULT_CALLER, ...request })
}

/** The shell sets its own limit and becomes the gateway. */
function limited(fileBlocksMax: number, command: readonly string[]): readonly string[] {
  return ['/bin/sh', '-c', `ulimit -f ${fileBlocksMax} && exec "$0" "$@"`, ...command]
}

const DEFAULT_CALLER: TokenRequest = {
  tenant: 'acme',
  team: 'research',
  user: 'ada',
  agent: 'writer',
  roles: ['agent'],
  classification: 'internal',
  ttlSeconds: 3_600,
}

async function untilReady(child: ChildProcess, readyFile: string, log: () => string): Promise<string> {
  const deadline = Date.now() + START_TIMEOUT_MS
  while (!existsSync(readyFile)) {
    if (child.exitCode !== null) throw new Error(`the gateway ended with ${child.exitCode}:\n${log()}`)
    if (Date.now() > deadline) throw new Error(`the gateway did not start in time:\n${log()}`)
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  const ready: unknown = JSON.parse(await readFile(readyFile, 'utf8'))
  if (typeof ready === 'object' && ready !== null && 'url' in ready && typeof ready.url === 'string') return ready.url
  throw new Error('the ready file has no url')
}
