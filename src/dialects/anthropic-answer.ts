/**
 * Reads a complete, non-streamed message.
 */
import type { Usage } from '../domain/usage.ts'
import { memberReader } from './json-answer.ts'
import { outputStrings } from './output-text.ts'
import { messageUsage } from './anthropic-usage.ts'

export function messageAnswerUsage(body: Uint8Array): Usage | undefined {
  const value = memberReader(body)
  return value && messageUsage(value('usage'), value('model'))
}

export function messageAnswerTexts(body: Uint8Array): readonly string[] {
  return outputStrings(memberReader(body)?.('content'))
}
