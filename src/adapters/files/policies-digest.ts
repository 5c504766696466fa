/**
 * The one text of a set, whatever its files are called, however it is spread over them and in whatever order its keys
 * and its rules are written: where order means nothing, parts are sorted. The order of upstreams does mean something.
 */
import { createHash } from 'node:crypto'
import { canonicalJson } from '../../domain/audit/canonical-json.ts'
import { STANDARD_CLASSIFICATION } from './policies-identity-schema.ts'
import type { JoinedSet, Placed } from './policies-join.ts'

export interface Digested {
  readonly canonical: string
  /** SHA-256 of the canonical text, in hex. */
  readonly digest: string
}

export function digestOf(set: JoinedSet): Digested {
  const canonical = canonicalJson({
    apiVersion: 'tollgate/v1',
    kind: 'PolicySet',
    metadata: set.metadata,
    issuers: byName(set.issuers),
    classification: set.classification?.part ?? STANDARD_CLASSIFICATION,
    upstreams: set.upstreams.map(({ part }) => part),
    destinations: { allow: asSet(set.allow), allowPrivate: asSet(set.allowPrivate) },
    access: byName(set.access),
    on_ledger_error: set.onLedgerError,
    limits: byName(set.limits),
    budgets: byName(set.budgets),
    runs: byName(set.runs),
  })
  return { canonical, digest: createHash('sha256').update(canonical).digest('hex') }
}

function byName<Part extends { readonly name: string }>(parts: readonly Placed<Part>[]): readonly Part[] {
  return parts.map(({ part }) => part).toSorted((left, right) => (left.name < right.name ? -1 : 1))
}

function asSet(parts: readonly Placed<string>[]): readonly string[] {
  return [...new Set(parts.map(({ part }) => part))].toSorted()
}
