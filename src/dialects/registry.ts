/**
 * Every dialect by name: the one table that grows with a new wire format.
 */
import type { DialectName } from '../domain/ask.ts'
import type { Dialect } from '../domain/dialect.ts'
import { anthropicMessages } from './anthropic-messages.ts'
import { openaiChat } from './openai-chat.ts'

export const DIALECTS = {
  'openai-chat': openaiChat,
  'anthropic-messages': anthropicMessages,
} as const satisfies Record<DialectName, Dialect>
