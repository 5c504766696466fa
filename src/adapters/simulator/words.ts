/**
 * The simulated model's words. Each is exactly one token of `o200k_base` and of `cl100k_base` when it follows another, so
 * that the number of words is the number of output tokens.
 */
import { createHash } from 'node:crypto'

const FIRST = 'The'

const WORDS = (
  'time people way day man thing woman life child world school state family student group country problem hand part ' +
  'place case week company system program question work government number night point home water room mother area ' +
  'money story fact month lot right study book eye job word business issue side kind head house service friend ' +
  'father power hour game line end member law car city community name president team minute idea body information ' +
  'back parent face others level office door health person art war history party result change morning reason ' +
  'research girl guy moment air teacher force education'
).split(' ')

/** A number that stands for the conversation: equal conversations get equal answers. */
export function seedOf(conversation: string): number {
  return createHash('sha256').update(conversation).digest().readUInt32LE(0)
}

/** The tokens of an answer, in order; the same for the same seed. */
export function* answerTokens(seed: number, count: number): Generator<string, void> {
  // xorshift32 never leaves zero, so it never starts there.
  let state = seed === 0 ? 1 : seed
  for (let index = 0; index < count; index += 1) {
    if (index === 0) {
      yield FIRST
      continue
    }
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    yield ` ${WORDS[(state >>> 0) % WORDS.length]}`
  }
}
