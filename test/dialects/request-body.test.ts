import fc from 'fast-check'
import { describe, expect, it } from 'vitest'

import { JSON_SPACE_BYTES_MAX } from '../../src/dialects/json-members.ts'
import { nfcBytes, readRequestBody } from '../../src/dialects/request-body.ts'

const bound = (text: string) => nfcBytes(text, Buffer.byteLength(text))

const message = (body: string) => {
  const read = readRequestBody(Buffer.from(body))
  return read.kind === 'invalid' ? read.message : undefined
}

/** An unsorted run: a normaliser that sorts by insertion moves each mark past half of those before it. */
const marks = (count: number) => 'a' + '\u0301'.repeat(count / 2) + '\u0323'.repeat(count / 2)

describe('the bytes of a text', () => {
  it('are never fewer than the bytes of its NFC form', () => {
    const letters = fc.constantFrom('a', '<', '\u01d6', '\u0390', '\u0958', '\u0344', '\u0f73', '\u{1d160}', '\ufb2c')
    const others = fc.constantFrom('\u0301', '\u0323', '\u3099', '\u1100', '\u1161', '\u{2f800}', '한', '😀', '\ud800')
    const text = fc.string({ unit: fc.oneof(letters, others, fc.string({ unit: 'binary', maxLength: 1 })) })
    const long = fc.tuple(text, fc.integer({ min: 1, max: 400 })).map(([piece, times]) => piece.repeat(times))
    fc.assert(
      fc.property(fc.oneof(text, long), (sample) => {
        // An unpaired surrogate is three bytes in UTF-8, before and after.
        expect(bound(sample)).toBeGreaterThanOrEqual(Buffer.byteLength(sample.normalize('NFC')))
        expect(bound(sample)).toBeGreaterThanOrEqual(Buffer.byteLength(sample))
        expect(bound(sample)).toBeLessThanOrEqual(3 * Buffer.byteLength(sample))
      }),
      { numRuns: 150 },
    )
  })

  it('are exact for text that people write', () => {
    for (const text of ['naïve Größe ế', '한국어', '日本語が', 'हिन्दी', 'עִבְרִית', '❤\ufe0f'])
      expect(bound(text.repeat(1_000))).toBe(Buffer.byteLength(text.repeat(1_000)))
  })

  it('are bounded where they are too many to normalise, by the most that normalising adds', () => {
    const note = '\u{1d160}'
    expect(Buffer.byteLength(note.normalize('NFC'))).toBe(12)
    expect(bound(note.repeat(300_000))).toBe(12 * 300_000)
  })

  it('are known in linear time: a megabyte of marks is not sorted', () => {
    for (const text of [marks(500_000), marks(30).repeat(16_000), marks(32).repeat(15_000), '\u0344'.repeat(500_000)]) {
      expect(bound(text)).toBeGreaterThanOrEqual(Buffer.byteLength(text))
      // Sorting the first of these takes minutes, which is more than a test may.
    }
  })
})

describe('white space between values', () => {
  it('is accepted up to its bound and refused above it, with the fix, wherever it is', () => {
    const space = (bytes: number) => ' \n\t\r'.repeat(bytes / 4)
    expect(message(`{"a":${space(JSON_SPACE_BYTES_MAX)}1}`)).toBeUndefined()
    const more = space(JSON_SPACE_BYTES_MAX + 4)
    for (const body of [`${more}{"a":1}`, `{${more}"a":1}`, `{"a":[${more}]}`, `{"a":1${more}}`]) {
      expect(message(body)).toMatch(/more than 1048576 bytes of white space.*send it without/)
    }
    const half = space(JSON_SPACE_BYTES_MAX / 2 + 4)
    expect(message(`{"a":${half}1,"b":${half}2}`)).toMatch(/white space/)
    expect(message(JSON.stringify({ a: more }))).toBeUndefined()
  })
})
