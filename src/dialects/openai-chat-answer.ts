/**
 * Reads a complete, non-streamed chat completion.
 */
import type { Usage } from '../domain/prices/usage.ts'
import { memberReader, wholeText } from './json-answer.ts'
import { isObject } from './json-value.ts'
import { outputStrings } from './output-text.ts'
import { chatUsage } from './openai-usage.ts'

export function chatAnswerUsage(body: Uint8Array): Usage | undefined {
  const value = memberReader(body)
  return value && chatUsage({ usage: value('usage'), model: value('model'), serviceTier: value('service_tier') })
}

export function chatAnswerTexts(body: Uint8Array): readonly string[] {
  const choices = memberReader(body)?.('choices')
  if (!Array.isArray(choices)) return wholeText(body)
  return choices.flatMap((choice) => outputStrings(isObject(choice) ? (choice['message'] ?? choice) : choice))
}
