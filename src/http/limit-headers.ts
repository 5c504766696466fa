/**
 * What the caller has left, in headers: its own limits in its own dialect, and the IETF draft's two fields. The shared
 * provider key's numbers are never the caller's business.
 */
import type { AccumulatorState } from '../domain/accumulator.ts'
import type { Family } from '../domain/ask.ts'
import type { PlannedCharge } from '../domain/charges.ts'
import type { Facts } from '../domain/decision.ts'

interface Standing {
  readonly charge: PlannedCharge
  readonly limit: number
  readonly remaining: number
  readonly resetMs: number
}

/** Headers for an answer or a refusal; empty when nothing was read from the ledger. */
export function limitHeaders(facts: Facts, family: Family): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const { charges, states, call } = facts
  if (charges === undefined || states === undefined) return headers
  const standings: Standing[] = []
  for (let index = 0; index < charges.length; index += 1) {
    const [charge, state] = [charges[index], states[index]]
    if (charge !== undefined && state !== undefined) standings.push(standing(charge, state, call.startedAtMs))
  }
  const own = family === 'anthropic' ? anthropicHeaders : openaiHeaders
  own(headers, 'requests', nearest(standings, isOfRequests), call.startedAtMs)
  own(headers, 'tokens', nearest(standings, isOfTokens), call.startedAtMs)
  standardHeaders(headers, standings)
  budgetHeader(headers, nearest(standings, isOfBudget))
  return headers
}

function standing(charge: PlannedCharge, state: AccumulatorState, nowMs: number): Standing {
  const room = state.limit - state.settled - state.held
  // A charge that did not fit was not taken.
  const remaining = Math.max(0, Math.floor(room >= charge.amount ? room - charge.amount : room))
  return { charge, limit: state.limit, remaining, resetMs: resetAfter(charge, state, nowMs) }
}

/** Milliseconds until the limit is whole again if nothing more is used. */
function resetAfter(charge: PlannedCharge, state: AccumulatorState, nowMs: number): number {
  const { shape } = charge.accumulator
  switch (shape.kind) {
    case 'budget':
      return shape.window === null ? 0 : Math.max(0, shape.window.endMs - nowMs)
    case 'concurrency':
      return 0
    case 'sliding':
      return shape.windowMs
    case 'bucket':
      return Math.ceil(((state.settled + charge.amount) * shape.periodMs) / shape.amount)
  }
}

const isOfRequests = ({ charge }: Standing) => charge.unit === 'requests'

const isOfTokens = ({ charge: { unit } }: Standing) =>
  unit === 'tokens' || unit === 'input_tokens' || unit === 'output_tokens'

const isOfBudget = ({ charge }: Standing) => charge.ruleKind === 'budget'

/** Of those that count, the standing with the smallest share left: the one that will refuse first. */
function nearest(standings: readonly Standing[], counts: (standing: Standing) => boolean): Standing | undefined {
  let found: Standing | undefined
  for (const next of standings) {
    if (!counts(next)) continue
    if (found === undefined || next.remaining * found.limit < found.remaining * next.limit) found = next
  }
  return found
}

type Name = 'requests' | 'tokens'

function openaiHeaders(headers: Record<string, string>, name: Name, found: Standing | undefined): void {
  if (found === undefined) return
  headers[`x-ratelimit-limit-${name}`] = String(found.limit)
  headers[`x-ratelimit-remaining-${name}`] = String(found.remaining)
  headers[`x-ratelimit-reset-${name}`] = goDuration(found.resetMs)
}

function anthropicHeaders(
  headers: Record<string, string>,
  name: Name,
  found: Standing | undefined,
  nowMs: number,
): void {
  if (found === undefined) return
  headers[`anthropic-ratelimit-${name}-limit`] = String(found.limit)
  headers[`anthropic-ratelimit-${name}-remaining`] = String(found.remaining)
  headers[`anthropic-ratelimit-${name}-reset`] = new Date(nowMs + found.resetMs).toISOString()
}

/** OpenAI writes resets as Go durations: `120ms`, `1s`, `6m0s`. */
function goDuration(ms: number): string {
  if (ms < 1_000) return `${Math.ceil(ms)}ms`
  const seconds = Math.ceil(ms / 1_000)
  const [hours, minutes] = [Math.floor(seconds / 3_600), Math.floor((seconds % 3_600) / 60)]
  const rest = `${seconds % 60}s`
  if (hours > 0) return `${hours}h${minutes}m${rest}`
  return minutes > 0 ? `${minutes}m${rest}` : rest
}

/** `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, one item a rule. */
function standardHeaders(headers: Record<string, string>, standings: readonly Standing[]): void {
  let [policy, state] = ['', '']
  for (const entry of standings) {
    const { rule, unit } = entry.charge
    if (unit === 'usd') continue
    const comma = policy === '' ? '' : ', '
    policy += `${comma}"${rule}";q=${entry.limit}${unitParameter(entry)}`
    state += `${comma}"${rule}";r=${entry.remaining};t=${Math.ceil(entry.resetMs / 1_000)}`
  }
  if (policy === '') return
  headers['ratelimit-policy'] = policy
  headers['ratelimit'] = state
}

function unitParameter(entry: Standing): string {
  if (entry.charge.unit === 'requests') return ''
  return entry.charge.unit === 'concurrent' ? ';qu="concurrent-requests"' : ';qu="tokens"'
}

function budgetHeader(headers: Record<string, string>, found: Standing | undefined): void {
  if (found === undefined || found.limit === 0) return
  const used = Math.floor(((found.limit - found.remaining) / found.limit) * 100)
  headers['x-tollgate-budget'] = `${found.charge.rule};used=${used}%`
}
