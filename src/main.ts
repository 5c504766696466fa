#!/usr/bin/env node
/** Entry: hands the arguments to the commands and sets the exit code. Nothing else. */
import { run } from './cli/commands.ts'

// A reader that has seen enough (`| head`) closes the pipe; that ends the command and is no fault of it.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 3))

process.exitCode = await run(process.argv.slice(2))
