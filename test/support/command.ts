import { run } from '../../src/cli/commands.ts'
import type { CliResult } from './cli.ts'

/**
 * Runs one command in this process: for tables of many, where a process each would take minutes. That the process exits
 * with the code and writes to the streams that are seen here is held by the tests that start one.
 */
export async function runHere(args: readonly string[]): Promise<CliResult> {
  const written = { stdout: '', stderr: '' }
  const code = await run(args, {
    out: (text) => void (written.stdout += `${text}\n`),
    talk: (text) => void (written.stderr += `${text}\n`),
  })
  return { code, ...written }
}
