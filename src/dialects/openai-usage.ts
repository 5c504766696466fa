/**
 * Usage of a chat completion as meters that never overlap. `prompt_tokens` includes cached and cache-writing tokens,
 * `completion_tokens` includes reasoning and rejected predictions.
 */
import type { Usage } from '../domain/prices/usage.ts'
import type { JsonObject } from './json-value.ts'
import { isObject } from './json-value.ts'
import { UsageCounts, answerWord, usedMeters } from './usage-count.ts'

/** The members of an answer that decide what it costs. */
export interface ChatAnswer {
  readonly usage: unknown
  readonly model: unknown
  readonly serviceTier: unknown
}

/** Undefined when the answer has no usage that can be charged; the caller then charges an estimate. */
export function chatUsage(answer: ChatAnswer): Usage | undefined {
  if (!isObject(answer.usage)) return undefined
  const counts = readCounts(answer.usage)
  if (counts === undefined) return undefined
  const model = answerWord(answer.model)
  const tier = answerWord(answer.serviceTier)
  const words = { ...(model === undefined ? {} : { model }), ...(tier === undefined ? {} : { tier }) }
  return { ...toUsage(counts), ...words }
}

interface Counts {
  readonly prompt: number
  readonly completion: number
  readonly total: number
  readonly cached: number
  readonly written: number
  readonly reasoning: number
  /** False when a detail is malformed, or is of a class that has no meter of its own. */
  readonly sound: boolean
}

function readCounts(usage: JsonObject): Counts | undefined {
  const top = new UsageCounts(usage)
  const prompt = top.known('prompt_tokens')
  const completion = top.known('completion_tokens')
  if (prompt === undefined || completion === undefined) return undefined
  const total = top.known('total_tokens') ?? prompt + completion
  const input = top.inside('prompt_tokens_details')
  const output = top.inside('completion_tokens_details')
  const cached = input.count('cached_tokens')
  const written = input.count('cache_write_tokens')
  const reasoning = output.count('reasoning_tokens')
  // Audio and long cache writes have prices of their own and no meter here: never charge them as text and call it exact.
  const unmetered =
    input.count('audio_tokens') +
    output.count('audio_tokens') +
    input.inside('cache_write_tokens_details').count('ttl_12h_tokens')
  const sound = top.sound && input.sound && output.sound && unmetered === 0
  return { prompt, completion, total, cached, written, reasoning, sound }
}

/** Where the numbers contradict each other, the larger reading: what is inside a class is then charged on top of it. */
function toUsage({ prompt, completion, total, cached, written, reasoning, sound }: Counts): Usage {
  const insidePrompt = cached + written <= prompt
  const insideCompletion = reasoning <= completion
  const input = insidePrompt ? prompt - cached - written : prompt
  const inputTokens = input + cached + written
  const outputTokens = Math.max(insideCompletion ? completion : completion + reasoning, total - inputTokens)
  return {
    quantities: usedMeters({ input, cache_read: cached, cache_write: written, output: outputTokens }),
    inputTokens,
    outputTokens,
    ...(reasoning > 0 ? { reasoningTokens: reasoning } : {}),
    consistent: sound && insidePrompt && insideCompletion && total === prompt + completion,
  }
}
