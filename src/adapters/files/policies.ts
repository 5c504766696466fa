/**
 * Policy files -> the policy in force, or everything that is wrong with them: read, shaped, joined, checked, compiled.
 * Either the whole set is right or none of it is used.
 */
import type { Policy } from '../../domain/policy/policy.ts'
import { checkSet } from './policies-checks.ts'
import { compilePolicy, type BuiltinIssuer } from './policies-compiler.ts'
import { joinFiles, type ShapedFile } from './policies-join.ts'
import type { PolicyProblem } from './policies-problem.ts'
import { shapeFile } from './policies-shape.ts'
import { findPolicyFiles, readPolicyFile } from './policies-source.ts'

export interface LoadPoliciesOptions {
  /** Files, and folders whose files (not folders) make up the set. */
  readonly paths: readonly string[]
  /** Rises with every activation: the ledger keeps the limits of the highest. */
  readonly version: number
  readonly builtin: BuiltinIssuer
  /** Whether the price table knows a provider's model; left out when there is no table. */
  readonly knownModel?: ((provider: string, model: string) => boolean) | undefined
}

export type LoadedPolicies =
  | { readonly kind: 'loaded'; readonly policy: Policy; readonly warnings: readonly PolicyProblem[] }
  | { readonly kind: 'invalid'; readonly problems: readonly PolicyProblem[] }

export async function loadPolicies(options: LoadPoliciesOptions): Promise<LoadedPolicies> {
  const read = await readFiles(options.paths)
  if (read.kind === 'faulty') return { kind: 'invalid', problems: read.problems }
  const joined = joinFiles(read.files)
  if (joined.kind === 'faulty') return { kind: 'invalid', problems: joined.problems }
  const problems = checkSet(joined.set, { knownModel: options.knownModel, builtinIssuer: options.builtin.issuer })
  if (problems.some(({ severity }) => severity === 'error')) return { kind: 'invalid', problems }
  return { kind: 'loaded', policy: compilePolicy(joined.set, options), warnings: problems }
}

type Read =
  | { readonly kind: 'files'; readonly files: readonly ShapedFile[] }
  | { readonly kind: 'faulty'; readonly problems: readonly PolicyProblem[] }

/** One file after the other: the order of files is the order of the set. */
async function readFiles(paths: readonly string[]): Promise<Read> {
  const found = await findPolicyFiles(paths)
  if (found.kind === 'none') return { kind: 'faulty', problems: [found.problem] }
  const files: ShapedFile[] = []
  const problems: PolicyProblem[] = []
  for (const path of found.files) {
    const read = await readPolicyFile(path)
    const shaped = read.kind === 'read' ? shapeFile(read.source) : { kind: 'faulty' as const, problems: read.problems }
    if (shaped.kind === 'shaped') files.push(shaped.file)
    else problems.push(...shaped.problems)
  }
  return problems.length > 0 ? { kind: 'faulty', problems } : { kind: 'files', files }
}
