import { z } from 'zod'

/** The part of vitest's JSON report that is read here. */
const reportSchema = z.object({
  testResults: z.array(
    z.object({
      name: z.string(),
      status: z.string(),
      message: z.string().default(''),
      assertionResults: z.array(
        z.object({ fullName: z.string(), status: z.string(), failureMessages: z.array(z.string()).nullish() }),
      ),
    }),
  ),
})

export interface Counts {
  readonly passed: number
  readonly failed: number
  readonly skipped: number
}

export interface Tally extends Counts {
  /** What failed and what was skipped, each with its file. */
  readonly failures: readonly string[]
  readonly omissions: readonly string[]
}

/**
 * Counts a report. A file that failed without a failing test in it (it could not be loaded, or a hook threw) is one
 * failure: its tests are missing from the report, which must not look like success. Whatever did not pass or fail
 * (skipped, todo, pending) was skipped.
 */
export function tally(json: string): Tally {
  const failures: string[] = []
  const omissions: string[] = []
  let passed = 0
  for (const file of reportSchema.parse(JSON.parse(json)).testResults) {
    const before = failures.length
    for (const test of file.assertionResults) {
      const where = `${file.name}: ${test.fullName.trim()}`
      if (test.status === 'passed') passed += 1
      else if (test.status === 'failed') failures.push(`${where}: ${firstLine(test.failureMessages?.[0])}`)
      else omissions.push(where)
    }
    if (file.status === 'failed' && failures.length === before)
      failures.push(`${file.name}: ${firstLine(file.message)}`)
  }
  return { passed, failed: failures.length, skipped: omissions.length, failures, omissions }
}

function firstLine(text = ''): string {
  return text.trim().split('\n', 1)[0] ?? ''
}

/** The last line of a run, alone on its line, for people and for machines. */
export function summaryLine({ passed, failed, skipped }: Counts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`
}
