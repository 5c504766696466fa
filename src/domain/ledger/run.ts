/**
 * Runs of agents. A run is named by a path, `parent/child/grandchild`: what a child does counts for its parents, too, so that
 * an agent which starts others cannot do more through them than by itself.
 */
import { DIMENSION_VALUE_MAX } from '../identity.ts'
import type { Identity } from '../identity.ts'

/** The request header in which a caller names the run that a call belongs to. */
export const RUN_HEADER = 'x-tollgate-run'

/** Deepest path: each part is counted for itself, so this bounds what one decision touches. */
export const RUN_PARTS_MAX = 8

/** Characters of UUIDs, of workflow ids and of dates; none that a log, a shell or a URL would read as more than text. */
const PART = /^[A-Za-z0-9_][A-Za-z0-9._:@+=~-]{0,63}$/

/** Why a text cannot name a run, or undefined when it can; never the text itself, which may be anything. */
export function runFault(path: string): string | undefined {
  if (path.length > DIMENSION_VALUE_MAX)
    return `has ${path.length} characters; at most ${DIMENSION_VALUE_MAX} are accepted`
  const parts = path.split('/')
  if (parts.length > RUN_PARTS_MAX) return `has ${parts.length} parts; at most ${RUN_PARTS_MAX} are accepted`
  if (parts.every((part) => PART.test(part))) return undefined
  return 'is not the name of a run: 1 to 64 letters, digits and . _ : @ + = ~ - in each part, with a slash between parent and child'
}

/** The run and its parents, outermost first: `a`, `a/b`, `a/b/c`. */
export function runPrefixes(path: string): readonly string[] {
  const parts = path.split('/')
  return parts.map((_, index) => parts.slice(0, index + 1).join('/'))
}

/** The run that a call counts for: what the caller named within what its token says, or what its token says. */
export function runOf(identity: Identity): string | undefined {
  return identity.namedRun ?? identity.single.run
}

export type NamedRun =
  | { readonly kind: 'named'; readonly identity: Identity }
  | { readonly kind: 'fault'; readonly reason: string; readonly problem: string }

/**
 * The caller with the run that its header names. The header is a label that the caller chooses, so it adds counters and takes
 * none away: a token's own run stays, and only a child of it can be named.
 */
export function nameRun(identity: Identity, path: string, isAllowed: boolean): NamedRun {
  const own = identity.single.run
  if (path === own) return { kind: 'named', identity }
  const problem = runFault(path)
  if (problem !== undefined) return { kind: 'fault', reason: 'run_malformed', problem }
  if (!isAllowed) {
    const refusal =
      'is not accepted from your issuer: leave it out, or ask your administrator to allow it there (runHeader)'
    return { kind: 'fault', reason: 'run_not_allowed', problem: refusal }
  }
  if (own !== undefined && !path.startsWith(`${own}/`)) {
    const refusal = 'names another run than your token: leave it out, or name a child of that run'
    return { kind: 'fault', reason: 'run_contradicts', problem: refusal }
  }
  return { kind: 'named', identity: withRun(identity, path) }
}

/** Runs of one token that are remembered at a time: agents do a few at once, each with many calls. */
const RUNS_REMEMBERED_MAX = 64

/**
 * Owned by this file; an entry goes with the caller's identity, and the oldest run of it with the one too many. What is worked
 * out for an identity is found again by the object, so one run of one token is one object.
 */
const remembered = new WeakMap<Identity, Map<string, Identity>>()

function withRun(identity: Identity, path: string): Identity {
  const known = remembered.get(identity) ?? new Map<string, Identity>()
  if (known.size === 0) remembered.set(identity, known)
  const found = known.get(path)
  if (found !== undefined) return found
  const named = { ...identity, namedRun: path }
  known.set(path, named)
  const [oldest] = known.keys()
  if (known.size > RUNS_REMEMBERED_MAX && oldest !== undefined) known.delete(oldest)
  return named
}
