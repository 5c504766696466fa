/** What is asked and answered in every call of the bench, of the size that agents send and get. */

/** Bytes of the prompt: with the frame around it a body is 2 KB. */
const PROMPT_BYTES = 1_800
/** Bytes of the completion: with the frame around it an answer is 1 KB. */
const COMPLETION_BYTES = 650
/** Chunks of a stream before its end. */
export const CHUNKS = 100

const TEXT = 'The gateway weighs what a call can cost before the call is made, and writes down what it did cost. '
const text = (bytes: number) => TEXT.repeat(Math.ceil(bytes / TEXT.length)).slice(0, bytes)

/** A model whose price is in the shipped tables. */
export const MODEL = 'gpt-6-sol'

const USAGE = {
  prompt_tokens: 360,
  completion_tokens: 130,
  total_tokens: 490,
  prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
  completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
}

const FRAME = { id: 'chatcmpl-bench', created: 1_800_000_000, model: MODEL, service_tier: 'default' }

/** A call, streamed or not. */
export function callBody(stream: boolean): Buffer {
  const messages = [
    { role: 'system', content: 'You are the accountant of a small town.' },
    { role: 'user', content: text(PROMPT_BYTES) },
  ]
  return Buffer.from(JSON.stringify({ model: MODEL, messages, max_completion_tokens: 256, ...(stream && { stream }) }))
}

export const ANSWER = Buffer.from(
  JSON.stringify({
    ...FRAME,
    object: 'chat.completion',
    choices: [
      {
        index: 0,
        message: { role: 'assistant', content: text(COMPLETION_BYTES), refusal: null },
        finish_reason: 'stop',
      },
    ],
    usage: USAGE,
  }),
)

const event = (data: object) => `data: ${JSON.stringify({ ...FRAME, object: 'chat.completion.chunk', ...data })}\n\n`

export const CHUNK = event({ choices: [{ index: 0, delta: { content: ' gateway' }, finish_reason: null }] })
export const STREAM_USAGE = event({ choices: [], usage: USAGE })
export const STREAM_END = 'data: [DONE]\n\n'
