/**
 * Answers that are made to fit: when the whole of a call finds no room, the longest answer that every accumulator
 * affords. A charge grows with the answer's maximum by a line that is never below what such an answer can take, so one
 * division finds the length, and the amounts that it stands for are still upper bounds.
 */
import type { AccumulatorState, Charge } from './accumulator.ts'

export interface FitTerm {
  /** What the charge takes for an answer of no length. */
  readonly base: number
  /** What each token of the answer's maximum adds at most; 0 for what does not grow with the answer. */
  readonly perToken: number
  /** Whether the rule lets answers be shortened for its sake. */
  readonly mayShorten: boolean
}

export interface Fit {
  /** Maximum of output tokens for one choice that the amounts of the charges stand for. */
  readonly asked: number
  /** The smallest maximum that is still of use; from 1 to `asked`. */
  readonly least: number
  /** One for each charge. */
  readonly terms: readonly FitTerm[]
}

/** The charges of an answer of at most `tokens`: never more than those of the answer that was asked for. */
export function fitted<Item extends Charge>(charges: readonly Item[], { terms }: Fit, tokens: number): readonly Item[] {
  return charges.map((charge, index) => {
    const { base, perToken } = terms[index] ?? WHOLE
    return { ...charge, amount: Math.min(charge.amount, base + perToken * tokens) }
  })
}

/** A charge about which nothing is known stays what it is. */
const WHOLE = { base: Number.MAX_SAFE_INTEGER, perToken: 0 }

/**
 * The largest maximum that all short accumulators afford, or undefined: one of them may not shorten an answer, or what
 * is left would be of no use. Accumulators that have room for the whole have room for less.
 */
export function affordableTokens(
  { asked, least, terms }: Fit,
  shortfalls: readonly { readonly index: number; readonly state: AccumulatorState }[],
): number | undefined {
  let tokens = asked
  for (const { index, state } of shortfalls) {
    const term = terms[index]
    if (term === undefined || !term.mayShorten || term.perToken === 0) return undefined
    const room = state.limit - state.settled - state.held - term.base
    // Exact: whole numbers up to 2^53 have no quotient so near to a whole one that it is rounded to it.
    tokens = Math.min(tokens, Math.floor(room / term.perToken))
  }
  return tokens < least ? undefined : tokens
}
