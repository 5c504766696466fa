/**
 * `npm test`: everything that must hold, in the order in which a fault is cheapest to see. Ends with one plain line
 * `N passed, N failed, N skipped` that counts the tests of vitest; a static check that fails stops the run before it.
 * `npm run check` is the same with `--fast`: no Redis, and the unit project alone.
 */
import { parseArgs } from 'node:util'
import { say, sayHeading } from './run/print.ts'
import { ensureRedis } from './run/redis.ts'
import { explainNode } from './run/runtime.ts'
import { createRunner } from './run/runner.ts'
import { staticChecks } from './run/static-checks.ts'
import { runTests } from './run/tests.ts'

/** The whole run ends in CI's half hour with room for `npm ci`; a stage that hangs is ended with what is left. */
const RUN_MS_MAX = 25 * 60_000

async function main(): Promise<number> {
  const { values } = parseArgs({ options: { fast: { type: 'boolean', default: false } } })
  const tooOld = explainNode(process.versions.node)
  if (tooOld !== undefined) return stop(tooOld)

  const run = createRunner(RUN_MS_MAX)
  if (!values.fast) {
    const missing = await ensureRedis(run)
    if (missing !== undefined) return stop(missing)
  }
  for (const check of staticChecks) {
    sayHeading(check.name)
    if ((await run(check)) !== 0) return stop(`stopped at ${check.name}: ${check.fix}; no test was run`)
  }
  sayHeading(values.fast ? 'unit tests' : 'tests')
  return runTests(run, values.fast ? ['unit'] : [])
}

function stop(sentence: string): number {
  say(`\n${sentence}`)
  return 1
}

process.exitCode = await main()
