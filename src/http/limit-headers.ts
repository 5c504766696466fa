/**
 * What the caller has left, in headers: its own limits in its own dialect, and the IETF draft's two fields. The shared
 * provider key's numbers are never the caller's business. A call that was refused has taken nothing, and is told about what
 * refused it.
 */
import type { Family } from '../domain/ask.ts'
import type { Facts } from '../domain/decision.ts'
import type { Refusal } from '../domain/refusal.ts'
import { standingsOf, wholeAfterMs } from './standing.ts'
import type { Standing } from './standing.ts'

/** Largest integer of a structured field (RFC 9651, 3.3.1): 15 digits. */
const FIELD_INTEGER_MAX = 999_999_999_999_999

/** Headers for an answer or a refusal; empty when nothing was read from the ledger. */
export function limitHeaders(facts: Facts, family: Family, refusal?: Refusal): Readonly<Record<string, string>> {
  const headers: Record<string, string> = {}
  const standings = standingsOf(facts, refusal === undefined)
  if (standings.length === 0) return headers
  const rule = refusal?.limit?.rule
  const nowMs = facts.readAtMs ?? 0
  if (family === 'anthropic') anthropicHeaders(headers, standings, rule, nowMs)
  else openaiHeaders(headers, standings, rule)
  standardHeaders(headers, standings, refusal?.retryAfterMs ?? Number.POSITIVE_INFINITY)
  budgetHeader(headers, nearest(standings, isOfBudget, rule))
  return headers
}

const isOfRequests = ({ charge }: Standing) => charge.unit === 'requests'

const isOfTokens = ({ charge: { unit } }: Standing) =>
  unit === 'tokens' || unit === 'input_tokens' || unit === 'output_tokens'

const isOfInput = ({ charge }: Standing) => charge.unit === 'input_tokens'

const isOfOutput = ({ charge }: Standing) => charge.unit === 'output_tokens'

const isOfBudget = ({ charge }: Standing) => charge.ruleKind === 'budget'

/** Of those that count: one of the rule that refused, or else the one with the smallest share left, which will refuse first. */
function nearest(
  standings: readonly Standing[],
  counts: (standing: Standing) => boolean,
  refusing: string | undefined,
): Standing | undefined {
  let found: Standing | undefined
  for (const next of standings) {
    if (counts(next) && (found === undefined || isNearer(next, found, refusing))) found = next
  }
  return found
}

function isNearer(next: Standing, found: Standing, refusing: string | undefined): boolean {
  const named = next.charge.rule === refusing
  if (named !== (found.charge.rule === refusing)) return named
  return next.remaining * found.limit < found.remaining * next.limit
}

function openaiHeaders(
  headers: Record<string, string>,
  standings: readonly Standing[],
  refusing: string | undefined,
): void {
  openaiHeader(headers, 'requests', nearest(standings, isOfRequests, refusing))
  openaiHeader(headers, 'tokens', nearest(standings, isOfTokens, refusing))
}

function openaiHeader(headers: Record<string, string>, name: 'requests' | 'tokens', found: Standing | undefined): void {
  if (found === undefined) return
  headers[`x-ratelimit-limit-${name}`] = String(found.limit)
  headers[`x-ratelimit-remaining-${name}`] = String(found.remaining)
  if (found.resetMs !== undefined) headers[`x-ratelimit-reset-${name}`] = goDuration(found.resetMs)
}

/** `tokens` is the tightest of all that count tokens, as Anthropic has it; input and output are there when a rule counts them. */
function anthropicHeaders(
  headers: Record<string, string>,
  standings: readonly Standing[],
  refusing: string | undefined,
  nowMs: number,
): void {
  anthropicHeader(headers, 'requests', nearest(standings, isOfRequests, refusing), nowMs)
  anthropicHeader(headers, 'tokens', nearest(standings, isOfTokens, refusing), nowMs)
  anthropicHeader(headers, 'input-tokens', nearest(standings, isOfInput, refusing), nowMs)
  anthropicHeader(headers, 'output-tokens', nearest(standings, isOfOutput, refusing), nowMs)
}

function anthropicHeader(
  headers: Record<string, string>,
  name: 'requests' | 'tokens' | 'input-tokens' | 'output-tokens',
  found: Standing | undefined,
  nowMs: number,
): void {
  if (found === undefined) return
  headers[`anthropic-ratelimit-${name}-limit`] = String(found.limit)
  headers[`anthropic-ratelimit-${name}-remaining`] = String(found.remaining)
  if (found.resetMs === undefined) return
  const resetMs = Math.ceil((nowMs + found.resetMs) / 1_000) * 1_000
  headers[`anthropic-ratelimit-${name}-reset`] = new Date(resetMs).toISOString().replace('.000', '')
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

/**
 * `RateLimit-Policy` and `RateLimit` of draft-ietf-httpapi-ratelimit-headers-11, one item for each counter but those of
 * money, which the draft has no unit for; `x-tollgate-budget` tells of them. A rule with several counters numbers them.
 * `t` is never later than the advised retry, as section 6 of the draft asks.
 */
function standardHeaders(headers: Record<string, string>, standings: readonly Standing[], retryMs: number): void {
  let [policy, state, last, count] = ['', '', '', 0]
  for (const entry of standings) {
    const { rule, unit, accumulator } = entry.charge
    if (unit === 'usd') continue
    count = rule === last ? count + 1 : 1
    last = rule
    const comma = policy === '' ? '' : ', '
    const name = `${comma}"${rule}${count === 1 ? '' : `.${count}`}"`
    const windowMs = wholeAfterMs(accumulator.shape, entry.limit)
    policy += `${name};q=${integer(entry.limit)}${unitParameter(unit)}${seconds('w', windowMs)}`
    const resetMs = entry.resetMs === undefined ? undefined : Math.min(entry.resetMs, retryMs)
    state += `${name};r=${integer(entry.remaining)}${seconds('t', resetMs)}`
  }
  if (policy === '') return
  headers['ratelimit-policy'] = policy
  headers['ratelimit'] = state
}

function integer(value: number): number {
  return Math.min(FIELD_INTEGER_MAX, value)
}

/** `;w=60`; a window is at least a second, and what has none has no parameter. */
function seconds(name: 't' | 'w', ms: number | undefined): string {
  if (ms === undefined) return ''
  const whole = integer(Math.ceil(ms / 1_000))
  return `;${name}=${name === 'w' ? Math.max(1, whole) : whole}`
}

/** Requests are the default. The draft's registry has no unit for tokens yet; leaving it out would call them requests. */
function unitParameter(unit: Standing['charge']['unit']): string {
  if (unit === 'requests') return ''
  if (unit === 'ms') return ';qu="milliseconds"'
  return unit === 'concurrent' ? ';qu="concurrent-requests"' : ';qu="tokens"'
}

function budgetHeader(headers: Record<string, string>, found: Standing | undefined): void {
  if (found === undefined) return
  const used = found.limit === 0 ? 100 : Math.floor(((found.limit - found.remaining) / found.limit) * 100)
  headers['x-tollgate-budget'] = `${found.charge.rule};used=${used}%`
}
