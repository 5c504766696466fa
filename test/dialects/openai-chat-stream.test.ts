import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { openaiChat } from '../../src/dialects/openai-chat.ts'
import { OUTPUT_RETAINED_MAX } from '../../src/dialects/output-text.ts'
import { EVENT_BYTES_MAX } from '../../src/dialects/sse-events.ts'
import { fixture, parsed, relay } from './fixture.ts'

const base = { model: 'm', messages: [{ role: 'user', content: 'hi' }] }
const stream = fixture('openai/stream.sse')
const unasked = parsed(openaiChat, { ...base, stream: true })
const asked = parsed(openaiChat, { ...base, stream: true, stream_options: { include_usage: true } })

describe('stream', () => {
  const usage = {
    quantities: { input: 76, cache_read: 1024, cache_write: 100, output: 34 },
    inputTokens: 1200,
    outputTokens: 34,
    reasoningTokens: 20,
    model: 'gpt-9-2026-01-01',
    tier: 'priority',
    consistent: true,
  }

  it('takes out what was injected and nothing else', () => {
    const out = relay(openaiChat, unasked, stream, [])
    expect(out.bytes).toBe(fixture('openai/stream-stripped.sse').toString())
    expect(out.summary).toEqual({ usage, complete: true, failed: false, outputEvents: 4 })
    expect(out.texts).toEqual(['Grüße 😀\n"usage":null,f{"a":usage'])
  })

  it('passes everything on when the caller asked for usage itself, the chunk as it is', () => {
    const out = relay(openaiChat, asked, stream, [])
    expect(out.bytes).toBe(stream.toString())
    expect(out.summary.usage).toEqual(usage)
    const reader = openaiChat.streamReader(asked)
    expect(reader.push(stream)).toBe(stream)
  })

  it('gives the same bytes, usage and texts however the stream is cut', () => {
    const whole = [unasked, asked].map((ask) => relay(openaiChat, ask, stream, []))
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), fc.constantFrom(0, 1), (cuts, which) => {
        const out = relay(openaiChat, which === 0 ? unasked : asked, stream, cuts)
        expect({ ...out, pieces: [] }).toEqual({ ...whole[which], pieces: [] })
      }),
    )
    const single = relay(openaiChat, unasked, stream, [...stream.keys()])
    expect(single.bytes).toBe(whole[0]?.bytes)
  })

  it('ends every piece at the end of an event, so that a frame may follow anywhere', () => {
    fc.assert(
      fc.property(fc.array(fc.nat(stream.length)), (cuts) => {
        for (const piece of relay(openaiChat, asked, stream, cuts).pieces) {
          expect(piece === '' || /\n\r?\n$/.test(piece)).toBe(true)
        }
      }),
    )
  })

  it('reads an end without a blank line, as clients do', () => {
    const out = relay(openaiChat, unasked, Buffer.from('data: {"choices":[]}\n\ndata: [DONE]'), [])
    expect(out.summary.complete).toBe(true)
    expect(out.bytes).toBe('data: {"choices":[]}\n\ndata: [DONE]')
  })

  it('is not complete when it broke off, and failed when the provider said so', () => {
    const broken = relay(openaiChat, unasked, stream.subarray(0, stream.length - 14), [])
    expect(broken.summary.complete).toBe(false)
    for (const frame of ['data: {"error":{"message":"x"}}\n\n', 'event: error\ndata: {"message":"x"}\n\n']) {
      expect(relay(openaiChat, unasked, Buffer.from(frame), []).summary.failed).toBe(true)
    }
  })

  it('keeps usage that comes with choices, and chunks of other kinds without choices', () => {
    const odd =
      'data: {"choices":[{"index":0,"delta":{"content":"x"}}],"usage":{"prompt_tokens":1,"completion_tokens":1}}\n\n'
    const filter = 'data: {"choices":[],"moderation":{}}\n\n'
    expect(relay(openaiChat, unasked, Buffer.from(odd + filter), []).bytes).toBe(odd + filter)
  })

  it('sees the text of every choice, also of several in one event and behind a new beginning', () => {
    const choice = (content: string) => `{"index":0,"delta":{"content":"${content}"},"finish_reason":null}`
    const event = (id: string, ...texts: string[]) =>
      `data: {"id":"${id}","choices":[${texts.map(choice).join(',')}],"usage":null}\n\n`
    const events = [event('1', 'a'), event('1', 'b', 'c'), event('2', 'd'), event('1', 'e'), event('1', 'f', 'g')]
    const out = relay(openaiChat, unasked, Buffer.from(events.join('')), [])
    expect(out.texts).toEqual(['abcdefg'])
    expect(out.bytes).toBe(events.join('').replaceAll(',"usage":null', ''))
    expect(out.summary.outputEvents).toBe(5)
  })

  it('leaves a null usage alone that is not the member of the chunk itself', () => {
    const event = 'data: {"x":{"a":1,"usage":null},"choices":[{"index":0,"delta":{"content":"x"},"usage":null}]}\n\n'
    expect(relay(openaiChat, unasked, Buffer.from(event), []).bytes).toBe(event)
  })

  it('takes usage out that stands before the choices too', () => {
    const event = 'data: {"id":"1","usage":null,"choices":[{"index":0,"delta":{"content":"x"}}]}\n\n'
    const out = relay(openaiChat, unasked, Buffer.from(event.repeat(3)), [])
    expect(out.bytes).toBe(event.repeat(3).replaceAll('"usage":null,', ''))
    expect(out.texts).toEqual(['xxx'])
  })

  it('reads data over several lines', () => {
    const event = 'data: {"choices":[],\ndata: "usage":{"prompt_tokens":2,"completion_tokens":3}}\n\n'
    const out = relay(openaiChat, unasked, Buffer.from(event), [])
    expect(out.bytes).toBe('')
    expect(out.summary.usage).toMatchObject({ inputTokens: 2, outputTokens: 3 })
  })

  it('retains a bounded amount of text and counts the rest in bytes', () => {
    const piece = 'x'.repeat(100_000)
    const event = `data: {"choices":[{"delta":{"content":"${piece}"}}]}\n\n`
    const out = relay(openaiChat, unasked, Buffer.from(event.repeat(12)), [])
    expect(out.texts.join('')).toHaveLength(1_000_000)
    expect(out.texts.join('').length).toBeLessThanOrEqual(OUTPUT_RETAINED_MAX)
    expect(out.beyond).toBe(200_000)
  })

  it('passes on an event beyond its bound in pieces, unread and unchanged', () => {
    const huge = Buffer.from(
      `data: {"x":"${'y'.repeat(EVENT_BYTES_MAX + 2_000_000)}","usage":null}\n\ndata: [DONE]\n\n`,
    )
    const cuts = Array.from({ length: 20 }, (_, index) => index * 1_000_000)
    const out = relay(openaiChat, unasked, huge, cuts)
    // Compared apart from the matcher: it would print ten megabytes.
    expect(out.bytes === huge.toString()).toBe(true)
    expect(out.summary.complete).toBe(true)
  })

  it('never throws, whatever the bytes', () => {
    fc.assert(
      fc.property(
        fc.array(
          fc.constantFrom(
            'data: ',
            '{',
            '}',
            '"usage"',
            ':null',
            '"delta":',
            '"',
            '\\',
            '\n',
            '\r\n',
            ',',
            '[DONE]',
            'é',
          ),
        ),
        (tokens) => {
          expect(relay(openaiChat, asked, Buffer.from(tokens.join('')), [1, 3, 7]).bytes).toBe(tokens.join(''))
          expect(relay(openaiChat, unasked, Buffer.from(tokens.join('')), [1, 3, 7]).summary.usage).toBeUndefined()
        },
      ),
    )
  })
})
