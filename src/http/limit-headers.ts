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
  const { charges, states, call } = facts
  if (charges === undefined || states === undefined || charges.length === 0) return {}
  const standings = charges.flatMap((charge, index) => {
    const state = states[index]
    return state === undefined ? [] : [standing(charge, state, call.startedAtMs)]
  })
  return {
    ...dialectHeaders(standings, family, call.startedAtMs),
    ...standardHeaders(standings),
    ...budgetHeader(standings),
  }
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

/** The standing with the smallest share left: the one that will refuse first. */
function nearest(standings: readonly Standing[]): Standing | undefined {
  let found: Standing | undefined
  for (const next of standings) {
    if (found === undefined || next.remaining * found.limit < found.remaining * next.limit) found = next
  }
  return found
}

const HEADER_UNITS = { requests: ['requests'], tokens: ['tokens', 'input_tokens', 'output_tokens'] } as const

function dialectHeaders(standings: readonly Standing[], family: Family, nowMs: number): Record<string, string> {
  const headers: Record<string, string> = {}
  for (const [name, units] of Object.entries(HEADER_UNITS)) {
    const found = nearest(standings.filter((entry) => units.some((unit) => unit === entry.charge.unit)))
    if (found === undefined) continue
    const [limit, remaining] = [String(found.limit), String(found.remaining)]
    if (family === 'anthropic') {
      headers[`anthropic-ratelimit-${name}-limit`] = limit
      headers[`anthropic-ratelimit-${name}-remaining`] = remaining
      headers[`anthropic-ratelimit-${name}-reset`] = new Date(nowMs + found.resetMs).toISOString()
    } else {
      headers[`x-ratelimit-limit-${name}`] = limit
      headers[`x-ratelimit-remaining-${name}`] = remaining
      headers[`x-ratelimit-reset-${name}`] = goDuration(found.resetMs)
    }
  }
  return headers
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
function standardHeaders(standings: readonly Standing[]): Record<string, string> {
  const rates = standings.filter((entry) => entry.charge.unit !== 'usd')
  if (rates.length === 0) return {}
  const policy = rates.map((entry) => `"${entry.charge.rule}";q=${entry.limit}${unitParameter(entry)}`)
  const state = rates.map(
    (entry) => `"${entry.charge.rule}";r=${entry.remaining};t=${Math.ceil(entry.resetMs / 1_000)}`,
  )
  return { 'ratelimit-policy': policy.join(', '), ratelimit: state.join(', ') }
}

function unitParameter(entry: Standing): string {
  if (entry.charge.unit === 'requests') return ''
  return entry.charge.unit === 'concurrent' ? ';qu="concurrent-requests"' : ';qu="tokens"'
}

function budgetHeader(standings: readonly Standing[]): Record<string, string> {
  const found = nearest(standings.filter((entry) => entry.charge.ruleKind === 'budget'))
  if (found === undefined || found.limit === 0) return {}
  const used = Math.floor(((found.limit - found.remaining) / found.limit) * 100)
  return { 'x-tollgate-budget': `${found.charge.rule};used=${used}%` }
}
