import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { say } from './print.ts'
import { summaryLine, tally } from './report.ts'
import type { Tally } from './report.ts'
import { ROOT } from './runner.ts'
import type { Runner } from './runner.ts'

/** Runs vitest over the given projects (all when none is given), prints the count, and gives the exit code. */
export async function runTests(run: Runner, projects: readonly string[]): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-tests-'))
  try {
    const report = join(folder, 'report.json')
    const code = await run({
      command: 'vitest',
      args: [
        'run',
        // One test marked `only` would hide all others behind a green line.
        '--allowOnly=false',
        '--reporter=default',
        '--reporter=json',
        `--outputFile.json=${report}`,
        ...projects.map((name) => `--project=${name}`),
      ],
    })
    return conclude(readTally(report), code)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

const NOTHING: Tally = { passed: 0, failed: 0, skipped: 0, failures: [], omissions: [] }

function readTally(report: string): Tally {
  try {
    return tally(readFileSync(report, 'utf8'))
  } catch (error) {
    say(`\nvitest left no readable report: ${error instanceof Error ? error.message : String(error)}`)
    return NOTHING
  }
}

/** A run is good when vitest says so, every test ran, and there was at least one. */
function conclude(seen: Tally, code: number): number {
  const { passed, failures, omissions } = seen
  const unexplained = code !== 0 && failures.length === 0
  list('failed', failures)
  list('skipped, which is refused', omissions)
  if (unexplained) say(`\nvitest exited with ${code} though no test failed: see its errors above`)
  if (passed + failures.length === 0) say('\nno test ran, which is refused')
  say(`\n${summaryLine({ ...seen, failed: unexplained ? 1 : failures.length })}`)
  return code === 0 && passed > 0 && failures.length === 0 && omissions.length === 0 ? 0 : 1
}

function list(title: string, lines: readonly string[]): void {
  if (lines.length === 0) return
  say(`\n${title}:`)
  for (const line of lines) say(`  ${line.replace(`${ROOT}/`, '')}`)
}
