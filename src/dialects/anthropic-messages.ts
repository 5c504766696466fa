/**
 * Anthropic Messages: `POST /v1/messages`.
 */
import type { Dialect } from '../domain/dialect.ts'
import { messageAnswerTexts, messageAnswerUsage } from './anthropic-answer.ts'
import { anthropicErrorFrame, renderAnthropicRefusal } from './anthropic-error.ts'
import { forwardMessages, parseMessages } from './anthropic-request.ts'
import { MessageStream } from './anthropic-stream.ts'

export const anthropicMessages: Dialect = {
  name: 'anthropic-messages',
  family: 'anthropic',
  operation: 'chat',
  parse: parseMessages,
  forward: forwardMessages,
  usageOf: messageAnswerUsage,
  outputTextsOf: messageAnswerTexts,
  streamReader: () => new MessageStream(),
  renderRefusal: renderAnthropicRefusal,
  errorFrame: anthropicErrorFrame,
  // Clients of this format know `ping` and reset their idle timers on it.
  keepAlive: 'event: ping\ndata: {"type": "ping"}\n\n',
}
