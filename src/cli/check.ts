import type { Command } from 'commander'
import { formatProblem, loadRules } from '../compose/rules.ts'
import type { Problem } from '../compose/rules.ts'
import type { Cli } from './output.ts'
import { EXIT, json } from './output.ts'
import { readSettings, withSettings } from './settings.ts'

interface CheckOptions {
  readonly config?: string
  readonly data?: string
  readonly strict?: boolean
  readonly json?: boolean
}

/** `check`: loads all that `serve` loads and reports every fault with its place. */
export function addCheck(program: Command, cli: Cli): void {
  withSettings(program.command('check [files...]'))
    .alias('validate-config')
    .description('check policy and price files; exit 1 when there is an error')
    .option('--strict', 'warnings fail too')
    .option('--json', 'one JSON object')
    .action(async (files: string[], options: CheckOptions) => check(files, options, cli))
}

async function check(files: readonly string[], options: CheckOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  const paths = files.length > 0 ? { ...config, policyPaths: files } : config
  const rules = await loadRules(paths, Date.now())
  const problems = rules.kind === 'invalid' ? rules.problems : rules.warnings
  const failed = rules.kind === 'invalid' || (options.strict === true && problems.length > 0)
  if (failed) cli.exit(EXIT.findings)
  if (options.json === true) {
    const digest = rules.kind === 'loaded' ? { digest: rules.policy.digest, prices: rules.prices.version } : {}
    return cli.terminal.out(json({ ok: !failed, problems, ...digest }))
  }
  for (const problem of problems) cli.terminal.out(formatProblem(problem))
  cli.terminal.out(summary(rules, problems, failed))
}

function summary(rules: Awaited<ReturnType<typeof loadRules>>, problems: readonly Problem[], failed: boolean): string {
  const warnings = problems.filter((problem) => problem.severity === 'warning').length
  if (rules.kind === 'invalid') return `check: ${problems.length - warnings} errors, ${warnings} warnings`
  const { access, limits, budgets, upstreams, digest } = rules.policy
  const counts = `${access.length} access rules, ${limits.length} limits, ${budgets.length} budgets, ${upstreams.length} upstreams`
  return `check: ${failed ? 'warnings' : 'ok'} (${counts}, ${warnings} warnings) digest ${digest}`
}
