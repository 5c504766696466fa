/**
 * Cuts text into pieces that a tokenizer handles in bounded time: every BPE library is quadratic in the length of a run
 * without a natural break, so 200 KB of one letter would take most of a minute.
 *
 * A cut between a letter or digit and a character that can continue neither is where the encodings themselves split, so
 * the pieces' counts add up exactly. Where a piece has no such place the cut is forced, and then the parts can come to
 * fewer tokens than the whole: merging is greedy, and a boundary may force the better merge. Each forced cut therefore
 * adds a few tokens, which keeps the sum an upper bound.
 */

/** Characters of one piece: a few hundred microseconds for the worst one. */
export const PIECE_CHARS_MAX = 512

/** A forced cut has been seen to hide 2 tokens in 120,000 hostile samples; four times that is added. */
export const FORCED_CUT_TOKENS = 8

export interface CutText {
  readonly pieces: readonly string[]
  /** Tokens to add for the cuts that were forced. */
  readonly extraTokens: number
}

export function cutText(text: string): CutText {
  if (text.length <= PIECE_CHARS_MAX) return { pieces: text === '' ? [] : [text], extraTokens: 0 }
  const pieces: string[] = []
  let forcedCuts = 0
  let start = 0
  while (text.length - start > PIECE_CHARS_MAX) {
    const natural = naturalCut(text, start, start + PIECE_CHARS_MAX)
    const end = natural ?? wholeCharacterEnd(text, start + PIECE_CHARS_MAX)
    if (natural === undefined) forcedCuts += 1
    pieces.push(text.slice(start, end))
    start = end
  }
  pieces.push(text.slice(start))
  return { pieces, extraTokens: forcedCuts * FORCED_CUT_TOKENS }
}

const ENDS_A_TOKEN = /[\p{L}\p{N}]/u

/** A letter is continued by letters, by marks, and by an apostrophe (contractions); a digit by digits. */
const CONTINUES_A_TOKEN = /[\p{L}\p{M}\p{N}'\p{Cs}]/u

/** The last place in the piece at which the encodings split by themselves. */
function naturalCut(text: string, start: number, end: number): number | undefined {
  for (let at = end; at > start; at -= 1) {
    if (ENDS_A_TOKEN.test(text.charAt(at - 1)) && !CONTINUES_A_TOKEN.test(text.charAt(at))) return at
  }
  return undefined
}

/** Never between the halves of a surrogate pair: two halves are two other characters. */
function wholeCharacterEnd(text: string, end: number): number {
  const isLead = (text.charCodeAt(end - 1) & 0xfc00) === 0xd800
  const isTrail = (text.charCodeAt(end) & 0xfc00) === 0xdc00
  return isLead && isTrail ? end - 1 : end
}
