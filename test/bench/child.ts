/** Processes of the bench: started, waited for until they are ready, and ended whatever happens. */
import { fork, spawn } from 'node:child_process'
import type { ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'

/** Starting the gateway loads every price and policy; a busy machine needs seconds for it. */
const READY_MS_MAX = 30_000
/** How often a condition outside this process is looked at. */
const LOOK_EVERY_MS = 25
/** Time to end by itself before a process is killed. */
const STOP_MS_MAX = 5_000
/** How much of a log is shown when its process has failed. */
const LOG_TAIL_CHARS = 2_000

export interface Child extends AsyncDisposable {
  readonly pid: number
  readonly process: ChildProcess
  /** The end of what it printed, where that goes to a log: why something failed is said there. */
  tail(): string
  /** Resolves when `ready` holds; rejects, with the end of the log, when the process ends before or takes too long. */
  until(ready: () => boolean | Promise<boolean>): Promise<void>
}

const url = z.object({ url: z.url() })

/** Starts one of `processes/`, which announces its address. */
export async function startServer(
  name: string,
  args: readonly string[] = [],
): Promise<Child & { readonly url: string }> {
  const child = startWorker(name, args)
  try {
    const [message] = await once(child.process, 'message', { signal: AbortSignal.timeout(READY_MS_MAX) })
    return { ...child, url: url.parse(message).url }
  } catch (error) {
    await child[Symbol.asyncDispose]()
    throw new Error(`${name} did not say where it listens`, { cause: error })
  }
}

/** Starts one of `processes/` that is spoken to by messages. */
export function startWorker(name: string, args: readonly string[] = []): Child {
  return wrap(fork(new URL(`./processes/${name}.ts`, import.meta.url), [...args]), name)
}

/** Starts any command; what it prints goes to `log`. */
export function startCommand(
  command: string,
  args: readonly string[],
  { log, env }: { readonly log: string; readonly env?: NodeJS.ProcessEnv },
): Child {
  const output = openSync(log, 'w')
  try {
    const child = spawn(command, args, { stdio: ['ignore', output, output], ...(env && { env }) })
    return wrap(child, command, log)
  } finally {
    closeSync(output)
  }
}

function wrap(child: ChildProcess, name: string, log?: string): Child {
  const { pid } = child
  if (pid === undefined) throw new Error(`${name} could not be started; is it installed?`)
  const ended = () => child.exitCode !== null || child.signalCode !== null
  const tail = () => (log === undefined ? '' : `\n${readFileSync(log, 'utf8').slice(-LOG_TAIL_CHARS)}`)
  return {
    pid,
    process: child,
    tail,
    async until(ready) {
      const deadline = Date.now() + READY_MS_MAX
      while (!(await ready())) {
        if (ended()) throw new Error(`${name} ended with ${child.exitCode ?? child.signalCode}${tail()}`)
        if (Date.now() > deadline) throw new Error(`${name} was not ready in ${READY_MS_MAX} ms${tail()}`)
        await sleep(LOOK_EVERY_MS)
      }
    },
    async [Symbol.asyncDispose]() {
      if (ended()) return
      const gone = once(child, 'exit')
      child.kill('SIGTERM')
      const kill = setTimeout(() => child.kill('SIGKILL'), STOP_MS_MAX)
      await gone
      clearTimeout(kill)
    },
  }
}
