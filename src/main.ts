#!/usr/bin/env node
/** Entry: hands the arguments to the commands and sets the exit code. Nothing else. */
import { run } from './cli/commands.ts'

process.exitCode = await run(process.argv.slice(2))
