/**
 * A real redis-server of its own for a test: ephemeral loopback port, nothing persisted, gone with the test.
 */
import { spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'

export interface TestRedis extends AsyncDisposable {
  readonly url: string
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/** A start takes some 20 ms; a machine under load gets this long. */
const START_MS = 15_000

/** Another process can take the port between its choice and its use; then another one is chosen. */
const PORT_ATTEMPTS = 5

const MISSING = 'redis-server is not on PATH. Install redis-server: apt-get install redis-server'

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const closed = once(server, 'close')
  server.close()
  await closed
  if (address === null || typeof address === 'string') throw new Error('no port was bound')
  return address.port
}

/** Resolves once the server says that it is ready; rejects with its last words when it ends before. */
async function untilReady(server: ChildProcess, ready: string): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const words: string[] = []
  const timer = setTimeout(() => reject(new Error(`redis-server did not start: ${words.join(' | ')}`)), START_MS)
  server.once('error', (error: NodeJS.ErrnoException) => reject(error.code === 'ENOENT' ? new Error(MISSING) : error))
  server.once('exit', (code) => reject(new Error(`redis-server ended with ${code}: ${words.slice(-3).join(' | ')}`)))
  if (server.stdout) {
    createInterface(server.stdout).on('line', (line) => {
      words.push(line)
      if (line.includes(ready)) resolve()
    })
  }
  await promise.finally(() => clearTimeout(timer))
}

/**
 * Ends the server and removes its folder when its input closes. A test worker can die before its cleanup runs (a first
 * failure with --bail, a kill); the system then closes the pipe, and no server is left behind.
 */
const WATCHDOG = 'read -r _; kill -9 "$1" 2>/dev/null; rm -rf "$2"'

function watch(pid: number, dir: string): ChildProcess {
  const watchdog = spawn('sh', ['-c', WATCHDOG, 'sh', `${pid}`, dir], {
    stdio: ['pipe', 'ignore', 'ignore'],
    // A group of its own: a signal to the worker's group must not take the one that cleans up after it.
    detached: true,
  })
  watchdog.unref()
  return watchdog
}

async function stopped(server: ChildProcess): Promise<void> {
  if (server.pid === undefined || server.exitCode !== null || server.signalCode !== null) return
  const exited = once(server, 'exit')
  server.kill('SIGKILL')
  await exited
}

async function startOn(port: number, args: readonly string[]): Promise<TestRedis> {
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-redis-'))
  const base = ['--port', `${port}`, '--bind', '127.0.0.1', '--save', '', '--appendonly', 'no', '--dir', dir]
  const server = await launch(dir, [...base, ...args], 'Ready to accept connections')
  return { url: `redis://127.0.0.1:${port}`, port, ...server }
}

/** A process of redis-server that is ready, with its folder; both go when it is stopped, or when this process dies. */
export async function launch(
  dir: string,
  args: readonly string[],
  ready: string,
): Promise<Omit<TestRedis, 'url' | 'port'>> {
  const server = spawn('redis-server', args, { stdio: ['ignore', 'pipe', 'ignore'] })
  const watchdog = server.pid === undefined ? undefined : watch(server.pid, dir)
  const stop = async () => {
    // The watchdog goes first: once the server is gone, its id may be another process's.
    watchdog?.kill('SIGKILL')
    await stopped(server)
    await rm(dir, { recursive: true, force: true })
  }
  try {
    await untilReady(server, ready)
  } catch (error) {
    await stop()
    throw error
  }
  return { pid: server.pid ?? 0, stop, [Symbol.asyncDispose]: stop }
}

/** `port` restarts a server where another one was; without it any free one is taken. */
export async function startRedis(
  options: { readonly args?: readonly string[]; readonly port?: number } = {},
): Promise<TestRedis> {
  const args = options.args ?? []
  if (options.port !== undefined) return startOn(options.port, args)
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await startOn(await freePort(), args)
    } catch (error) {
      const isTaken = error instanceof Error && error.message.includes('Address already in use')
      if (!isTaken || attempt === PORT_ATTEMPTS) throw error
    }
  }
}
