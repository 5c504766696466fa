import type { Command } from './runner.ts'

export interface StaticCheck extends Command {
  readonly name: string
  readonly fix: string
}

/** What is checked before any test runs, cheapest to repair first. A warning counts like an error. */
export const staticChecks: readonly StaticCheck[] = [
  { name: 'types', command: 'tsc', args: ['--noEmit'], fix: 'correct the types named above' },
  {
    name: 'lint',
    command: 'oxlint',
    args: ['--type-aware', '--deny-warnings'],
    fix: 'correct the places named above',
  },
  { name: 'format', command: 'oxfmt', args: ['--check', '.'], fix: 'run npm run format' },
  {
    name: 'unused',
    command: 'knip',
    args: ['--no-progress', '--treat-config-hints-as-errors'],
    fix: 'remove, or use, what is named above',
  },
]
