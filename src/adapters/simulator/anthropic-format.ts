/**
 * The simulated model in the Anthropic Messages format.
 */
import type { SimulatedCall } from './simulated-call.ts'
import { MODELS_CREATED_S } from './wire-format.ts'
import type { Frame, WireFormat } from './wire-format.ts'

export const anthropicFormat: WireFormat = {
  requestIdHeader: 'request-id',
  error: (status, message, requestId) =>
    JSON.stringify({ type: 'error', error: { type: errorType(status), message }, request_id: requestId }),
  answer: (call) =>
    JSON.stringify({
      ...message(call),
      content: [{ type: 'text', text: [...call.tokensOf(0)].join('') }],
      stop_reason: stopReason(call),
      ...usageMember(call, call.outputTokens),
    }),
  frames,
  models: (names) =>
    JSON.stringify({
      data: names.map((id) => ({
        type: 'model',
        id,
        display_name: id,
        created_at: new Date(MODELS_CREATED_S * 1000).toISOString(),
      })),
      has_more: false,
      first_id: names[0] ?? null,
      last_id: names.at(-1) ?? null,
    }),
}

const ERROR_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
])

function errorType(status: number): string {
  return ERROR_TYPES.get(status) ?? (status < 500 ? 'invalid_request_error' : 'api_error')
}

function* frames(call: SimulatedCall): Generator<Frame, void> {
  yield frame('message_start', { message: { ...message(call), ...usageMember(call, 1) } })
  yield frame('content_block_start', { index: 0, content_block: { type: 'text', text: '' } })
  yield frame('ping', {})
  for (const token of call.tokensOf(0)) {
    yield frame('content_block_delta', { index: 0, delta: { type: 'text_delta', text: token } }, true)
  }
  yield frame('content_block_stop', { index: 0 })
  yield frame('message_delta', {
    delta: { stop_reason: stopReason(call), stop_sequence: null },
    ...(call.directives.noUsage ? {} : { usage: deltaUsage(call) }),
  })
  yield frame('message_stop', {})
}

function frame(name: string, members: object, token = false): Frame {
  return { text: `event: ${name}\ndata: ${JSON.stringify({ type: name, ...members })}\n\n`, token }
}

function message(call: SimulatedCall): object {
  return {
    id: `msg_sim${call.label}`,
    type: 'message',
    role: 'assistant',
    model: call.ask.model,
    content: [],
    stop_reason: null,
    stop_sequence: null,
  }
}

function stopReason(call: SimulatedCall): 'max_tokens' | 'end_turn' {
  return call.truncated ? 'max_tokens' : 'end_turn'
}

function usageMember(call: SimulatedCall, outputTokens: number): object {
  if (call.directives.noUsage) return {}
  const usage = {
    ...deltaUsage(call),
    cache_creation: { ephemeral_5m_input_tokens: 0, ephemeral_1h_input_tokens: 0 },
    output_tokens: outputTokens,
    service_tier: 'standard',
  }
  return { usage }
}

/** What `message_delta` repeats: cumulative, without how the call was served. */
function deltaUsage(call: SimulatedCall): object {
  return {
    input_tokens: call.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: call.outputTokens,
  }
}
