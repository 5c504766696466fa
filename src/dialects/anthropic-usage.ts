/**
 * Usage of a message as meters that never overlap. The vendor's three input fields are additive already; what a
 * compaction or an advisor used is listed in `iterations` and not in the totals, and is billed all the same.
 */
import type { Usage } from '../domain/prices/usage.ts'
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'
import { UsageCounts, answerWord, usedMeters } from './usage-count.ts'

/** Tokens of the answer, or of one iteration of it. */
interface Entry {
  readonly input: number
  readonly read: number
  readonly write5m: number
  readonly write1h: number
  readonly output: number
  /** False when the classes do not add up. */
  readonly sound: boolean
}

/** Iterations whose tokens the totals include. */
const INCLUDED = new Set(['message', 'fallback_message'])
/** Iterations known to come on top; unknown kinds are taken to as well, and flagged. */
const ON_TOP = new Set(['compaction', 'advisor_message'])

const NO_TOKENS: Entry = { input: 0, read: 0, write5m: 0, write1h: 0, output: 0, sound: true }

/** Undefined when the answer has no usage that can be charged; the caller then charges an estimate. */
export function messageUsage(usage: unknown, answerModel: unknown): Usage | undefined {
  if (!isObject(usage)) return undefined
  const total = readEntry(usage)
  if (total === undefined) return undefined
  const model = answerWord(answerModel)
  const iterations = readIterations(usage['iterations'], { total, model })
  const all = add(iterations.included, iterations.onTop)
  const searches = new UsageCounts(usage).inside('server_tool_use').count('web_search_requests')
  const { input, read, write5m, write1h, output } = all
  return {
    quantities: usedMeters({
      input,
      cache_read: read,
      cache_write_5m: write5m,
      cache_write_1h: write1h,
      output,
      web_search: searches,
    }),
    inputTokens: input + read + write5m + write1h,
    outputTokens: output,
    ...words(usage, model),
    consistent: all.sound && iterations.sound,
  }
}

function words(usage: JsonObject, model: string | undefined): Partial<Usage> {
  const tier = usage['speed'] === 'fast' ? 'fast' : answerWord(usage['service_tier'])
  const geography = answerWord(usage['inference_geo'])
  const reasoning = new UsageCounts(usage).inside('output_tokens_details').count('thinking_tokens')
  return {
    ...(reasoning > 0 ? { reasoningTokens: reasoning } : {}),
    ...(model === undefined ? {} : { model }),
    ...(tier === undefined ? {} : { tier }),
    ...(geography === undefined ? {} : { geography }),
  }
}

function readEntry(usage: JsonObject): Entry | undefined {
  const counts = new UsageCounts(usage)
  const input = counts.known('input_tokens')
  const output = counts.known('output_tokens')
  if (input === undefined || output === undefined) return undefined
  const written = counts.count('cache_creation_input_tokens')
  const split = counts.inside('cache_creation')
  const write5m = split.count('ephemeral_5m_input_tokens')
  const write1h = split.count('ephemeral_1h_input_tokens')
  // What the split leaves over is charged as the dearer of the two kinds; what it has too much, as it says.
  const rest = Math.max(0, written - write5m - write1h)
  return {
    input,
    output,
    read: counts.count('cache_read_input_tokens'),
    write5m,
    write1h: write1h + rest,
    sound: counts.sound && split.sound && written === write5m + write1h,
  }
}

interface Answer {
  readonly total: Entry
  readonly model: string | undefined
}

function readIterations(value: unknown, answer: Answer): { included: Entry; onTop: Entry; sound: boolean } {
  const entries = Array.isArray(value) ? value.filter(isObject) : []
  let onTop = NO_TOKENS
  let listed = NO_TOKENS
  let sound = true
  let comparable = false
  for (const entry of entries) {
    const type = String(entry['type'])
    const tokens = readEntry(entry)
    if (tokens === undefined) sound = false
    else if (type === 'message') {
      listed = add(listed, tokens)
      comparable = true
    } else if (!INCLUDED.has(type)) {
      onTop = add(onTop, tokens)
      // Billed at another model's rate, which this usage cannot say: flagged, so that the bound is charged if larger.
      if (!ON_TOP.has(type) || (entry['model'] ?? answer.model) !== answer.model) sound = false
    }
  }
  // With a fallback the totals describe the served answer alone, and the attempt before it is not charged.
  if (!comparable || entries.some(({ type }) => type === 'fallback_message')) {
    return { included: answer.total, onTop, sound }
  }
  const included = larger(answer.total, listed)
  return { included, onTop, sound: sound && same(answer.total, listed) }
}

function add(left: Entry, right: Entry): Entry {
  return combine(left, right, (one, other) => one + other)
}

function larger(left: Entry, right: Entry): Entry {
  return combine(left, right, Math.max)
}

function combine(left: Entry, right: Entry, of: (one: number, other: number) => number): Entry {
  return {
    input: of(left.input, right.input),
    read: of(left.read, right.read),
    write5m: of(left.write5m, right.write5m),
    write1h: of(left.write1h, right.write1h),
    output: of(left.output, right.output),
    sound: left.sound && right.sound,
  }
}

function same(left: Entry, right: Entry): boolean {
  return (
    left.input === right.input &&
    left.read === right.read &&
    left.write5m + left.write1h === right.write5m + right.write1h &&
    left.output === right.output
  )
}
