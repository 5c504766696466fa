/**
 * OpenAI Chat Completions: `POST /v1/chat/completions`.
 */
import type { Dialect } from '../domain/dialect.ts'
import { chatAnswerTexts, chatAnswerUsage } from './openai-chat-answer.ts'
import { forwardChat, parseChat } from './openai-chat-request.ts'
import { ChatStream } from './openai-chat-stream.ts'
import { openaiErrorFrame, renderOpenaiRefusal } from './openai-error.ts'

export const openaiChat: Dialect = {
  name: 'openai-chat',
  family: 'openai',
  operation: 'chat',
  parse: parseChat,
  forward: forwardChat,
  usageOf: chatAnswerUsage,
  outputTextsOf: chatAnswerTexts,
  streamReader: (ask) => new ChatStream({ strip: !ask.wantsStreamUsage }),
  renderRefusal: renderOpenaiRefusal,
  errorFrame: openaiErrorFrame,
  // A comment: every client of this format skips it.
  keepAlive: ': keep-alive\n\n',
}
