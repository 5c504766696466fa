import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createAnswerReader } from './answer-reader.ts'

const FIXED = 'HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello'
const EMPTY = 'HTTP/1.1 429 Too Many Requests\r\ncontent-length: 0\r\n\r\n'
const CHUNKED = 'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nA\r\n0123456789\r\n0\r\n\r\n'

/** Cuts a text at the given places. */
function cut(text: string, places: readonly number[]): readonly Buffer[] {
  const at = [0, ...places.map((place) => place % text.length).toSorted((a, b) => a - b), text.length]
  return at.slice(1).map((end, index) => Buffer.from(text.slice(at[index], end)))
}

describe('reading an answer', () => {
  it.each([
    ['of a fixed length', FIXED, 200],
    ['without a body', EMPTY, 429],
    ['in chunks', CHUNKED, 200],
  ])('finds the end of one %s, however the network cuts it', (_, text, status) => {
    fc.assert(
      fc.property(fc.array(fc.nat()), (places) => {
        const reader = createAnswerReader()
        const states = cut(text, places)
          .filter((part) => part.length > 0)
          .map((part) => reader.push(part))
        expect(states.indexOf('whole')).toBe(states.length - 1)
        expect(reader.status()).toBe(status)
      }),
    )
  })

  it('is not whole while a byte is missing', () => {
    for (const text of [FIXED, CHUNKED]) expect(createAnswerReader().push(Buffer.from(text.slice(0, -1)))).toBe('body')
  })

  it.each([
    ['bytes after the end', `${FIXED}x`],
    ['bytes after the last chunk', `${CHUNKED}x`],
    ['a chunk without a size', CHUNKED.replace('A\r\n', 'zz\r\n')],
    ['a body of unknown length', 'HTTP/1.1 200 OK\r\n\r\n'],
    ['something else than HTTP', 'SSH-2.0-OpenSSH\r\n\r\n'],
    ['an endless head', `HTTP/1.1 200 OK\r\n${'x'.repeat(70_000)}`],
  ])('refuses %s', (_, text) => {
    expect(() => createAnswerReader().push(Buffer.from(text))).toThrow(/answer|chunk|head/)
  })
})
