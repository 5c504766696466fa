import { join } from 'node:path'
import { openBuiltinIssuer } from '../adapters/tokens/builtin-issuer.ts'
import type { BuiltinIssuer } from '../adapters/tokens/builtin-issuer.ts'
import type { Config } from '../config/config.ts'
import { formatProblem, loadRules } from './rules.ts'

export type OpenedIssuer =
  | { readonly kind: 'opened'; readonly issuer: BuiltinIssuer }
  | { readonly kind: 'invalid'; readonly problems: readonly string[] }

/** Folder of the keys that this installation makes for itself. */
export function keysFolder(config: Pick<Config, 'dataDir'>): string {
  return join(config.dataDir, 'keys')
}

/** The built-in issuer of an installation, when its policy set names one; its key is made on first use. */
export async function openIssuer(config: Config, nowMs: number): Promise<OpenedIssuer> {
  const rules = await loadRules(config, nowMs)
  if (rules.kind === 'invalid') return { kind: 'invalid', problems: rules.problems.map(formatProblem) }
  if (!rules.policy.issuers.some((issuer) => issuer.keys.kind === 'builtin')) {
    const fix = 'add {name: dev, builtin: true} to identity.issuers, or fetch a token from your own issuer'
    return { kind: 'invalid', problems: [`the policy set names no built-in issuer: ${fix}`] }
  }
  return { kind: 'opened', issuer: await openBuiltinIssuer({ dir: keysFolder(config) }) }
}
