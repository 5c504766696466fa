import { Command, CommanderError } from 'commander'
import { TokenRequestInvalid } from '../compose/issuer.ts'
import { readVersion } from '../config/version.ts'
import { describeError } from '../observability/logger.ts'
import { addAudit } from './audit.ts'
import { addCheck } from './check.ts'
import { addLedger } from './ledger.ts'
import { EXIT, processTerminal, TamperedError, UsageError } from './output.ts'
import type { Cli, ExitCode, Terminal } from './output.ts'
import { addServe } from './serve.ts'
import { addSpend } from './spend.ts'
import { addToken } from './token.ts'

/** Parses the arguments, runs one command and says how it ended. */
export async function run(args: readonly string[], terminal: Terminal = processTerminal): Promise<ExitCode> {
  let code: ExitCode = EXIT.good
  const cli: Cli = {
    terminal,
    exit(next) {
      code = next
    },
  }
  const program = createProgram(cli)
  try {
    await program.parseAsync([...args], { from: 'user' })
    return code
  } catch (error) {
    return explain(error, terminal)
  }
}

function createProgram(cli: Cli): Command {
  const program = new Command('tollgate')
    .description("A gateway that puts every AI call under its caller's own limits and budget.")
    .version(readVersion())
    .exitOverride()
    .configureOutput({
      writeOut: (text) => cli.terminal.out(text.trimEnd()),
      writeErr: (text) => cli.terminal.talk(text.trimEnd()),
    })
  for (const add of [addServe, addCheck, addToken, addAudit, addSpend, addLedger]) add(program, cli)
  return program
}

function explain(error: unknown, terminal: Terminal): ExitCode {
  if (error instanceof CommanderError) {
    // Help and version end by an exception too, with exit code 0; commander has already said everything.
    return error.exitCode === 0 ? EXIT.good : EXIT.usage
  }
  if (error instanceof UsageError || error instanceof TokenRequestInvalid) {
    terminal.talk(`error: ${error.message}`)
    return EXIT.usage
  }
  if (error instanceof TamperedError) {
    terminal.talk(`error: ${error.message}`)
    return EXIT.tampered
  }
  terminal.talk(`error: ${error instanceof Error ? error.message : String(error)}`)
  if (error instanceof Error && error.cause !== undefined)
    terminal.talk(`cause: ${JSON.stringify(describeError(error.cause))}`)
  return EXIT.unfinished
}
