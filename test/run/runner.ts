import { spawn } from 'node:child_process'
import { delimiter, join } from 'node:path'
import { say } from './print.ts'

/** The checkout: every command runs there. */
export const ROOT = join(import.meta.dirname, '../..')

/** The project's own Node and tools come before whatever the machine has. */
const PATH = [join(ROOT, 'node_modules/.bin'), process.env['PATH'] ?? ''].join(delimiter)

export interface Command {
  readonly command: string
  readonly args: readonly string[]
  /** Output is thrown away when a question is asked rather than work done. */
  readonly quiet?: boolean
  readonly env?: Readonly<Record<string, string>>
}

/** Runs a command to its end and gives its exit code; a command that is not there, or was ended by a signal, is not 0. */
export type Runner = (command: Command) => Promise<number>

/** Exit code of a command that could not be started, as a shell has it. */
const NOT_FOUND = 127
/** Exit code of a command that was ended from outside, as `timeout` has it. */
const ENDED = 124

/** All commands of a run share one deadline, so the run is bounded however the time is spent. */
export function createRunner(runMsMax: number): Runner {
  const deadline = Date.now() + runMsMax
  return ({ command, args, quiet = false, env = {} }) =>
    new Promise((resolve) => {
      const child = spawn(command, args, {
        cwd: ROOT,
        env: { ...process.env, PATH, ...env },
        stdio: quiet ? 'ignore' : 'inherit',
        timeout: Math.max(1, deadline - Date.now()),
      })
      child.once('error', () => resolve(NOT_FOUND))
      child.once('exit', (code, signal) => {
        if (signal !== null)
          say(`${command} was ended by ${signal}; the whole run may take ${runMsMax / 60_000} minutes`)
        resolve(code ?? ENDED)
      })
    })
}
