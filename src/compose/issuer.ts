import { join } from 'node:path'
import { systemClock } from '../adapters/system/clock.ts'
import { openBuiltinIssuer, TokenRequestInvalid } from '../adapters/tokens/builtin-issuer.ts'
import { inspectToken } from '../adapters/tokens/inspect-token.ts'
import type { BuiltinIssuer } from '../adapters/tokens/builtin-issuer.ts'
import type { Config } from '../config/config.ts'
import type { Policy } from '../domain/policy/policy.ts'
import { formatProblem, loadRules } from './rules.ts'

export { inspectToken, TokenRequestInvalid }
export type { BuiltinIssuer }

export type OpenedIssuer =
  | { readonly kind: 'opened'; readonly issuer: BuiltinIssuer }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }

/** Folder of the keys that this installation makes for itself. */
export function keysFolder(config: Pick<Config, 'dataDir'>): string {
  return join(config.dataDir, 'keys')
}

/** Issuer of a policy set with its key at hand; undefined when the set names no built-in one. */
export async function builtinIssuer(
  policy: Policy,
  config: Pick<Config, 'dataDir'>,
): Promise<BuiltinIssuer | undefined> {
  const rule = policy.issuers.find((issuer) => issuer.keys.kind === 'builtin')
  if (rule === undefined) return undefined
  const issuer = await openBuiltinIssuer({ dir: keysFolder(config), clock: systemClock })
  const [audience] = rule.audiences
  // Tokens name the issuer and audience that the rule expects, whatever the set calls them.
  const named = { issuer: rule.issuer, ...(audience !== undefined && { audience }) }
  return { jwks: () => issuer.jwks(), issue: (request) => issuer.issue({ ...named, ...request }) }
}

/** The built-in issuer of an installation, for commands; its key is made on first use. */
export async function openIssuer(config: Config): Promise<OpenedIssuer> {
  const rules = await loadRules(config, systemClock.nowMs())
  if (rules.kind === 'invalid') return { kind: 'invalid', problems: rules.problems.map(formatProblem) }
  const issuer = await builtinIssuer(rules.policy, config)
  if (issuer !== undefined) return { kind: 'opened', issuer }
  const fix = 'add {name: dev, builtin: true} to identity.issuers, or fetch a token from your own issuer'
  return { kind: 'invalid', problems: [`the policy set names no built-in issuer: ${fix}`] }
}
