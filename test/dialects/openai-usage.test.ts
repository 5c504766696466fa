import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts'
import { openaiChat } from '../../src/dialects/openai-chat.ts'

describe('usage', () => {
  const usageOf = (usage: unknown, more: object = {}) =>
    openaiChat.usageOf(Buffer.from(JSON.stringify({ id: 'x', choices: [], usage, ...more })))

  it.each([
    ['absent', undefined],
    ['null', null],
    ['no object', 'x'],
    ['without output', { prompt_tokens: 5 }],
    ['negative', { prompt_tokens: -1, completion_tokens: 5 }],
    ['a fraction', { prompt_tokens: 1.5, completion_tokens: 5 }],
  ])('that is %s is no usage', (_name, usage) => {
    expect(usageOf(usage)).toBeUndefined()
  })

  it.each([
    ['a total above its parts', { prompt_tokens: 5, completion_tokens: 5, total_tokens: 20 }, 5, 15],
    [
      'more cached than there was',
      { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10, prompt_tokens_details: { cached_tokens: 9 } },
      14,
      5,
    ],
    [
      'reasoning beside the completion',
      { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10, completion_tokens_details: { reasoning_tokens: 7 } },
      5,
      12,
    ],
    [
      'audio, which has no meter',
      { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10, prompt_tokens_details: { audio_tokens: 2 } },
      5,
      5,
    ],
    [
      'a malformed detail',
      { prompt_tokens: 5, completion_tokens: 5, total_tokens: 10, prompt_tokens_details: { cached_tokens: -3 } },
      5,
      5,
    ],
  ])('with %s is flagged, and the larger reading counts', (_name, usage, inputTokens, outputTokens) => {
    expect(usageOf(usage)).toMatchObject({ consistent: false, inputTokens, outputTokens })
  })

  it('never sums to less than the provider reported, and its meters never overlap', () => {
    const count = fc.nat(1_000_000)
    fc.assert(
      fc.property(
        count,
        count,
        count,
        count,
        count,
        fc.option(count, { nil: undefined }),
        (prompt, completion, cached, written, reasoning, total) => {
          const usage = usageOf({
            prompt_tokens: prompt,
            completion_tokens: completion,
            total_tokens: total,
            prompt_tokens_details: { cached_tokens: cached, cache_write_tokens: written },
            completion_tokens_details: { reasoning_tokens: reasoning },
          })
          const sum = Object.values(usage?.quantities ?? {}).reduce((left, right) => left + right, 0)
          expect(sum).toBe((usage?.inputTokens ?? 0) + (usage?.outputTokens ?? 0))
          expect(sum).toBeGreaterThanOrEqual(Math.max(prompt + completion, total ?? 0))
          expect(usage?.consistent === true && sum !== prompt + completion).toBe(false)
        },
      ),
    )
  })

  it('has the texts of every choice, for counting', () => {
    const message = {
      role: 'assistant',
      content: 'a',
      tool_calls: [{ id: 'call_1', type: 'function', function: { name: 'f', arguments: '{}' } }],
    }
    const body = Buffer.from(
      JSON.stringify({ choices: [{ message }, { message: { role: 'assistant', content: 'b' } }] }),
    )
    expect(openaiChat.outputTextsOf(body)).toEqual(['a', 'f', '{}', 'b'])
    expect(openaiChat.outputTextsOf(Buffer.alloc(0))).toEqual([])
  })

  it('is read from an answer of any number of values, and an answer that cannot be read counts as a whole', () => {
    const top = Array.from({ length: 300_000 }, () => 0)
    const answer = {
      choices: [{ message: { role: 'assistant', content: 'a' }, logprobs: top }],
      usage: { prompt_tokens: 3, completion_tokens: 2_000, total_tokens: 2_003 },
    }
    const body = Buffer.from(JSON.stringify(answer))
    expect(openaiChat.usageOf(body)?.outputTokens).toBe(2_000)
    expect(openaiChat.outputTextsOf(body)).toEqual(['a'])
    expect(openaiChat.outputTextsOf(Buffer.from('oops'))).toEqual(['oops'])
    expect(anthropicMessages.outputTextsOf(Buffer.from('{"content":7}'))).toEqual(['{"content":7}'])
  })
})
