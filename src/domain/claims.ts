/**
 * Claims of a verified token -> dimensions of an identity, by the issuer's own map.
 *
 * A value is taken as it is or refused, never repaired: trimming or normalising would let two different subjects of an
 * identity provider share one budget. Only claims that the map names are read, each as an own property, so that a claim
 * called `__proto__` or `constructor` is just another name.
 */
import { DIMENSION_LIST_MAX, DIMENSION_VALUE_MAX, LIST_DIMENSIONS, SINGLE_DIMENSIONS } from './identity.ts'
import type { Identity, IdentityDimension, ListDimension, SingleDimension } from './identity.ts'
import type { ClaimSource, IssuerRule } from './policy/policy.ts'
import { runFault } from './ledger/run.ts'

/** `iss` of tokens that the built-in issuer signs. */
export const BUILTIN_ISSUER_URL = 'https://tollgate.local/dev'

/** `aud` of tokens that the built-in issuer signs. */
export const BUILTIN_AUDIENCE = 'tollgate'

/** Map of an issuer rule that says `builtin: true` and no map of its own. */
export const BUILTIN_CLAIM_MAP: IssuerRule['map'] = {
  tenant: claim('tenant'),
  team: claim('team'),
  user: claim('sub'),
  agent: claim('agent'),
  client: claim('client_id'),
  role: claim('roles'),
  group: claim('groups'),
  tier: claim('tier'),
  lane: claim('lane'),
  classification: claim('data_classification'),
  residency: claim('residency'),
  run: claim('run'),
}

function claim(name: string): ClaimSource {
  return { from: { kind: 'claim', name }, prefix: '', default: undefined }
}

/** Deepest chain of actors (RFC 8693 section 4.1): real delegations are two or three deep. */
export const ACTORS_MAX = 8

/** What could not be read: a dimension, or the chain of actors. */
export type ClaimPlace = IdentityDimension | 'act'

export interface ClaimFault {
  readonly kind: 'fault'
  readonly dimension: ClaimPlace
  /** What is wrong and what would be right; never the value, which may be a person's name. */
  readonly problem: string
}

export interface MappedClaims extends Pick<Identity, 'single' | 'list' | 'actors'> {
  readonly kind: 'mapped'
}

/** A claims set: whatever JSON object the issuer signed. */
export type ClaimsSet = Readonly<Record<string, unknown>>

/**
 * No claim can say who the issuer is (that is who signed: one issuer must not speak for another) or where the call comes
 * from (that is the connection's own address).
 */
const MAPPED_DIMENSIONS = SINGLE_DIMENSIONS.filter((dimension) => dimension !== 'issuer' && dimension !== 'ip')

/** The dimensions of a verified payload, or the first place that cannot be read. */
export function mapClaims(rule: Pick<IssuerRule, 'name' | 'map'>, payload: ClaimsSet): MappedClaims | ClaimFault {
  const single: Partial<Record<SingleDimension, string>> = {}
  for (const dimension of MAPPED_DIMENSIONS) {
    const read = readSingle(rule.map[dimension], payload)
    if (read.kind === 'problem') return { kind: 'fault', dimension, problem: read.problem }
    if (read.kind === 'value') single[dimension] = read.value
  }
  const badRun = single.run === undefined ? undefined : runFault(single.run)
  if (badRun !== undefined) return { kind: 'fault', dimension: 'run', problem: badRun }
  single.issuer = rule.name
  const list: Record<ListDimension, readonly string[]> = { role: [], group: [] }
  for (const dimension of LIST_DIMENSIONS) {
    const read = readList(rule.map[dimension], payload)
    if (read.kind === 'problem') return { kind: 'fault', dimension, problem: read.problem }
    if (read.kind === 'value') list[dimension] = read.value
  }
  const actors = readActors(payload)
  if (actors.kind === 'problem') return { kind: 'fault', dimension: 'act', problem: actors.problem }
  return { kind: 'mapped', single, list, actors: actors.value }
}

type Absent = { readonly kind: 'absent' }
type Value<T> = { readonly kind: 'value'; readonly value: T }
type Problem = { readonly kind: 'problem'; readonly problem: string }

const ABSENT: Absent = { kind: 'absent' }

function readSingle(source: ClaimSource | undefined, payload: ClaimsSet): Value<string> | Absent | Problem {
  if (source === undefined) return ABSENT
  const found = find(source, payload)
  return found.kind === 'value' ? prefixed(found.value, source.prefix) : defaultOf(source)
}

function readList(source: ClaimSource | undefined, payload: ClaimsSet): Value<readonly string[]> | Absent | Problem {
  if (source === undefined) return ABSENT
  const found = find(source, payload)
  if (found.kind === 'absent') {
    const fallback = defaultOf(source)
    return fallback.kind === 'value' ? { kind: 'value', value: [fallback.value] } : fallback
  }
  // RFC 7519 writes a list of one as a plain string (section 4.1.3), and issuers do so for roles too.
  const items: readonly unknown[] = Array.isArray(found.value) ? found.value : [found.value]
  if (items.length > DIMENSION_LIST_MAX) {
    return problem(`has ${items.length} values; at most ${DIMENSION_LIST_MAX} are accepted`)
  }
  const values = new Set<string>()
  for (const item of items) {
    const read = prefixed(item, source.prefix)
    if (read.kind === 'problem') return read
    values.add(read.value)
  }
  return { kind: 'value', value: [...values] }
}

/** The policy's own word, so the prefix that marks the issuer's words is not put before it. */
function defaultOf(source: ClaimSource): Value<string> | Absent | Problem {
  return source.default === undefined ? ABSENT : prefixed(source.default, '')
}

function prefixed(value: unknown, prefix: string): Value<string> | Problem {
  if (typeof value !== 'string') return problem(`is ${nameOfType(value)}; a string is needed`)
  if (value === '') return problem('is empty; leave the claim out or give it a value')
  const whole = `${prefix}${value}`
  const fault = textFault(whole)
  return fault === undefined ? { kind: 'value', value: whole } : problem(fault)
}

/**
 * Control characters and line separators forge log lines, lone surrogates and unassigned code points change their text
 * on the way through other systems, and bidirectional controls make one name look like another.
 */
const REFUSED_CHARACTERS = /[\p{Cc}\p{Cs}\p{Cn}\p{Zl}\p{Zp}\p{Bidi_Control}]/u

/** Why a text cannot name anybody, or undefined when it can. */
export function textFault(text: string): string | undefined {
  if (text === '') return 'is empty; give it a value'
  if (text.length > DIMENSION_VALUE_MAX) {
    return `has ${text.length} characters; at most ${DIMENSION_VALUE_MAX} are accepted, prefix included`
  }
  if (REFUSED_CHARACTERS.test(text))
    return 'holds a control, bidirectional, unassigned or unpaired character; remove it'
  if (text !== text.normalize('NFC')) return 'is not in Unicode normal form C; normalise it where it is written'
  return undefined
}

/** Who acts for the subject (RFC 8693 section 4.1): the outermost `act` is the current actor, deeper ones came before. */
function readActors(payload: ClaimsSet): Value<readonly string[]> | Problem {
  const actors: string[] = []
  let at: unknown = own(payload, 'act')
  while (at !== undefined) {
    if (actors.length === ACTORS_MAX) return problem(`is nested deeper than ${ACTORS_MAX} actors`)
    if (!isObject(at)) return problem(`is ${nameOfType(at)}; an object with "sub" is needed`)
    const actor = prefixed(own(at, 'sub'), '')
    if (actor.kind === 'problem') return problem(`sub ${actor.problem}`)
    actors.push(actor.value)
    at = own(at, 'act')
  }
  return { kind: 'value', value: actors }
}

function find({ from }: ClaimSource, payload: ClaimsSet): Value<unknown> | Absent {
  if (from.kind === 'value') return { kind: 'value', value: from.value }
  const value = from.kind === 'claim' ? own(payload, from.name) : from.path.reduce<unknown>(step, payload)
  return value === undefined ? ABSENT : { kind: 'value', value }
}

/** RFC 6901 section 4: an array index has no sign, no leading zero, and `-` names what is not there. */
const ARRAY_INDEX = /^(?:0|[1-9]\d{0,8})$/

function step(at: unknown, token: string): unknown {
  if (Array.isArray(at)) return ARRAY_INDEX.test(token) ? at[Number(token)] : undefined
  return isObject(at) ? own(at, token) : undefined
}

function own(object: ClaimsSet, name: string): unknown {
  return Object.hasOwn(object, name) ? object[name] : undefined
}

function isObject(value: unknown): value is ClaimsSet {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

function nameOfType(value: unknown): string {
  if (value === undefined) return 'missing'
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'a list'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function problem(text: string): Problem {
  return { kind: 'problem', problem: text }
}
