import * as fc from 'fast-check'
import { get_encoding } from 'tiktoken'
import { afterAll, describe, expect, test } from 'vitest'
import { cutText, FORCED_CUT_TOKENS, PIECE_CHARS_MAX } from '../../../src/adapters/tiktoken/cut-text.ts'

const encoders = { o200k_base: get_encoding('o200k_base'), cl100k_base: get_encoding('cl100k_base') } as const
const ENCODINGS = ['o200k_base', 'cl100k_base'] as const

afterAll(() => {
  for (const name of ENCODINGS) encoders[name].free()
})

const whole = (encoding: keyof typeof encoders, text: string) => encoders[encoding].encode_ordinary(text).length

function inPieces(encoding: keyof typeof encoders, text: string): number {
  const { pieces, extraTokens } = cutText(text)
  return pieces.reduce((sum, piece) => sum + whole(encoding, piece), extraTokens)
}

const ALPHABETS = [
  'ab',
  'aB',
  'etaoinshr',
  ' \n\t\r',
  '=-_*#/',
  '的一是不了人我在有他这',
  'กขคงจฉชนมยรลวสหอ',
  'e\u0301a',
  "d's l",
  '0123456789',
  '😀👍🏽\u200d',
  'aé的 .\n0',
]

const anyRun = fc
  .constantFrom(...ALPHABETS)
  .chain((alphabet) =>
    fc
      .array(fc.constantFrom(...Array.from(alphabet)), { minLength: 400, maxLength: 1_800 })
      .map((characters) => characters.join('')),
  )

describe('cutText', () => {
  test('loses nothing, keeps to its size and never splits a surrogate pair', () => {
    fc.assert(
      fc.property(fc.oneof(anyRun, fc.string({ unit: 'binary', maxLength: 3_000 })), (text) => {
        const { pieces } = cutText(text)
        expect(pieces.join('')).toBe(text)
        for (const piece of pieces) {
          expect(piece.length).toBeGreaterThan(0)
          expect(piece.length).toBeLessThanOrEqual(PIECE_CHARS_MAX)
          expect(piece.isWellFormed() || !text.isWellFormed()).toBe(true)
        }
      }),
    )
  })

  test.each(ENCODINGS)('the pieces count at least as many tokens as the whole in %s', (encoding) => {
    fc.assert(
      fc.property(anyRun, (text) => {
        expect(inPieces(encoding, text)).toBeGreaterThanOrEqual(whole(encoding, text))
      }),
      { numRuns: 150 },
    )
  })

  test.each(ENCODINGS)('a cut between words changes nothing in %s', (encoding) => {
    const anyProse = fc
      .array(fc.constantFrom('word', 'Naïve', '42', "isn't", 'слово', '语言', ',', '.', '\n', ' '), {
        minLength: 600,
        maxLength: 900,
      })
      .map((words) => words.join(' '))
    fc.assert(
      fc.property(anyProse, (text) => {
        expect(cutText(text).extraTokens).toBe(0)
        expect(inPieces(encoding, text)).toBe(whole(encoding, text))
      }),
      { numRuns: 50 },
    )
  })

  test('a forced cut can hide tokens, which is why it adds some', () => {
    const [left, right] = ['**#--*_-_#*#-***_#-==*=_=*_#-*#=#_*##--*=*=', '_*==*-####_*']
    const apart = whole('cl100k_base', left) + whole('cl100k_base', right)
    const together = whole('cl100k_base', left + right)
    expect(apart).toBeLessThan(together)
    expect(apart + FORCED_CUT_TOKENS).toBeGreaterThanOrEqual(together)
  })
})
