/**
 * Reads a complete, non-streamed message.
 */
import type { Usage } from '../domain/prices/usage.ts'
import { memberReader, wholeText } from './json-answer.ts'
import { outputStrings } from './output-text.ts'
import { messageUsage } from './anthropic-usage.ts'

export function messageAnswerUsage(body: Uint8Array): Usage | undefined {
  const value = memberReader(body)
  return value && messageUsage(value('usage'), value('model'))
}

export function messageAnswerTexts(body: Uint8Array): readonly string[] {
  const content = memberReader(body)?.('content')
  return Array.isArray(content) ? outputStrings(content) : wholeText(body)
}
