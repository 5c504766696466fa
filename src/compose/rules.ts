import { loadPolicies } from '../adapters/files/policies.ts'
import { loadPrices } from '../adapters/files/pricing.ts'
import { systemClock } from '../adapters/system/clock.ts'
import type { Config } from '../config/config.ts'
import type { SecretReader } from '../config/environment.ts'
import { BUILTIN_AUDIENCE, BUILTIN_CLAIM_MAP, BUILTIN_ISSUER_URL } from '../domain/claims.ts'
import type { Policy, Upstream } from '../domain/policy/policy.ts'
import type { PriceTable } from '../domain/prices/prices.ts'
import type { Logger } from '../observability/logger.ts'

/** One finding in a policy or price file. */
export interface Problem {
  readonly file: string
  readonly line: number
  readonly col: number
  readonly severity: 'error' | 'warning'
  readonly code: string
  readonly path: string
  readonly message: string
}

/** What is decided by: one policy set and one price table. */
export interface RulesInForce {
  readonly policy: Policy
  readonly prices: PriceTable
}

export type LoadedRules =
  | (RulesInForce & { readonly kind: 'loaded'; readonly warnings: readonly Problem[] })
  | { readonly kind: 'invalid'; readonly problems: readonly Problem[] }

/** Loads prices, then policies checked against them: either both are right or every fault of both is named. */
export async function loadRules(
  config: Pick<Config, 'policyPaths' | 'pricingPaths'>,
  nowMs: number,
): Promise<LoadedRules> {
  const prices = await loadPrices(config.pricingPaths, { nowMs })
  const table = prices.kind === 'loaded' ? prices.table : undefined
  const policies = await loadPolicies({
    paths: config.policyPaths,
    version: nowMs,
    builtin: { issuer: BUILTIN_ISSUER_URL, audience: BUILTIN_AUDIENCE, map: BUILTIN_CLAIM_MAP },
    ...(table && { knownModel: (provider: string, model: string) => table.find(provider, model) !== undefined }),
  })
  if (prices.kind === 'loaded' && policies.kind === 'loaded') {
    return {
      kind: 'loaded',
      policy: policies.policy,
      prices: prices.table,
      warnings: [...rated(oneStalePerFile(prices.warnings), 'warning'), ...policies.warnings],
    }
  }
  const faults = [
    ...(prices.kind === 'invalid' ? rated(prices.problems, 'error') : []),
    ...(policies.kind === 'invalid' ? policies.problems : []),
  ]
  return { kind: 'invalid', problems: faults }
}

type PriceProblem = Omit<Problem, 'severity'>

/** Rule of the price files that finds rows nobody has checked for long; a file ages as a whole. */
const STALE = 'V13'

/** One line a file about its old prices, at the first of them: dozens of the same would hide everything else. */
function oneStalePerFile(problems: readonly PriceProblem[]): readonly PriceProblem[] {
  const stale = Map.groupBy(
    problems.filter((problem) => problem.code === STALE),
    (problem) => problem.file,
  )
  const grouped = [...stale.values()].flatMap((ofFile) => {
    const [first] = ofFile
    if (first === undefined || ofFile.length === 1) return ofFile
    return [{ ...first, message: `${first.message} (and ${ofFile.length - 1} more models of this file)` }]
  })
  return [...problems.filter((problem) => problem.code !== STALE), ...grouped]
}

/** Price problems are kept apart by severity; here they say it themselves. */
function rated(problems: readonly PriceProblem[], severity: Problem['severity']): readonly Problem[] {
  return problems.map((problem) => ({ ...problem, severity }))
}

/** `file:line:col: severity code: path: message`, which editors turn into a link. */
export function formatProblem(problem: Problem): string {
  const { file, line, col, severity, code, path, message } = problem
  return `${file}:${line}:${col}: ${severity} ${code}: ${path === '' ? '' : `${path}: `}${message}`
}

type Activated =
  | { readonly kind: 'activated'; readonly policy: Policy; readonly leftOut: readonly string[] }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }

/** Leaves out optional upstreams whose secret is not there; for any other a missing secret is a fault. */
function activate(policy: Policy, secret: SecretReader): Activated {
  const without = policy.upstreams.filter((upstream) => !hasSecrets(upstream, secret))
  const faulty = without.filter((upstream) => !upstream.optional)
  if (faulty.length > 0) {
    const problems = faulty.map(
      (upstream) => `upstream ${upstream.name}: ${upstream.keys.map((key) => key.secret).join(', ')} is not set`,
    )
    return { kind: 'invalid', problems }
  }
  const upstreams = policy.upstreams.filter((upstream) => !without.includes(upstream))
  return { kind: 'activated', policy: { ...policy, upstreams }, leftOut: without.map((upstream) => upstream.name) }
}

/** The configuration is readable but nothing can run from it; every problem is named. */
export class StartFailed extends Error {
  override readonly name = 'StartFailed'
}

/** The rules a gateway starts with. */
export async function readRules(config: Config, secrets: SecretReader, logger: Logger): Promise<RulesInForce> {
  const loaded = await loadRules(config, systemClock.nowMs())
  if (loaded.kind === 'invalid') throw new StartFailed(loaded.problems.map(formatProblem).join('\n'))
  const activated = activate(loaded.policy, secrets)
  if (activated.kind === 'invalid') throw new StartFailed(activated.problems.join('\n'))
  // One line, not one a warning: stale prices alone can be dozens. The command lists them with their places.
  const codes = [...new Set(loaded.warnings.map((warning) => warning.code))]
  if (codes.length > 0) logger.warn({ warnings: loaded.warnings.length, codes }, 'see: tollgate check')
  const { leftOut } = activated
  if (leftOut.length > 0) logger.info({ upstreams: leftOut }, 'upstreams without a key are left out')
  return { policy: activated.policy, prices: loaded.prices }
}

function hasSecrets(upstream: Upstream, secret: SecretReader): boolean {
  return upstream.keys.every((key) => key.secret === undefined || secret(key.secret) !== undefined)
}
