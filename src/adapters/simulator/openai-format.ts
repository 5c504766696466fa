/**
 * The simulated model in the OpenAI Chat Completions format.
 */
import type { SimulatedCall } from './simulated-call.ts'
import { MODELS_CREATED_S } from './wire-format.ts'
import type { Frame, WireFormat } from './wire-format.ts'

export const openaiFormat: WireFormat = {
  requestIdHeader: 'x-request-id',
  error: (status, message) =>
    JSON.stringify({ error: { message, ...ERRORS.get(status), type: errorType(status), param: null } }),
  answer: (call) =>
    JSON.stringify({
      ...head(call, 'chat.completion'),
      choices: choicesOf(call).map((index) => ({
        index,
        message: { role: 'assistant', content: [...call.tokensOf(index)].join(''), refusal: null, annotations: [] },
        logprobs: null,
        finish_reason: finishReason(call),
      })),
      ...(call.directives.noUsage ? {} : { usage: usageOf(call) }),
    }),
  frames,
  models: (names) =>
    JSON.stringify({
      object: 'list',
      data: names.map((id) => ({ id, object: 'model', created: MODELS_CREATED_S, owned_by: 'simulator' })),
    }),
}

const ERRORS: ReadonlyMap<number, { readonly code: string | null }> = new Map([
  [401, { code: 'invalid_api_key' }],
  [404, { code: 'model_not_found' }],
  [413, { code: 'request_too_large' }],
  [429, { code: 'rate_limit_exceeded' }],
])

function errorType(status: number): string {
  if (status === 429) return 'requests'
  return status < 500 ? 'invalid_request_error' : 'server_error'
}

function* frames(call: SimulatedCall): Generator<Frame, void> {
  const chunk = (choices: readonly object[], token: boolean, usage: object | null = null): Frame => {
    // Every chunk has `usage: null` once usage is asked for, and one more chunk has the totals.
    const asked = call.ask.wantsStreamUsage && !call.directives.noUsage
    const body = { ...head(call, 'chat.completion.chunk'), choices, ...(asked ? { usage } : {}) }
    return { text: `data: ${JSON.stringify(body)}\n\n`, token }
  }
  for (const index of choicesOf(call)) {
    yield chunk([delta(index, { role: 'assistant', content: '', refusal: null })], false)
    for (const token of call.tokensOf(index)) yield chunk([delta(index, { content: token })], true)
    yield chunk([delta(index, {}, finishReason(call))], false)
  }
  if (call.ask.wantsStreamUsage && !call.directives.noUsage) yield chunk([], false, usageOf(call))
  yield { text: 'data: [DONE]\n\n', token: false }
}

function delta(index: number, delta: object, finish: string | null = null): object {
  return { index, delta, logprobs: null, finish_reason: finish }
}

function head(call: SimulatedCall, object: string): object {
  return {
    id: `chatcmpl-sim${call.label}`,
    object,
    created: MODELS_CREATED_S,
    model: call.ask.model,
    service_tier: 'default',
    system_fingerprint: 'fp_simulator',
  }
}

function choicesOf(call: SimulatedCall): readonly number[] {
  return Array.from({ length: call.ask.choices }, (_, index) => index)
}

function finishReason(call: SimulatedCall): 'length' | 'stop' {
  return call.truncated ? 'length' : 'stop'
}

function usageOf(call: SimulatedCall): object {
  const completion = call.outputTokens * call.ask.choices
  return {
    prompt_tokens: call.inputTokens,
    completion_tokens: completion,
    total_tokens: call.inputTokens + completion,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: {
      reasoning_tokens: 0,
      audio_tokens: 0,
      accepted_prediction_tokens: 0,
      rejected_prediction_tokens: 0,
    },
  }
}
