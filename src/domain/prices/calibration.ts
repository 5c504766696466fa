/**
 * What a model's calls turn out to use, learned from reported usage: tokens of input per byte of text, tokens of output
 * per answer. It only sharpens expected values, which protective rates draw and settlements correct; an upper bound never
 * depends on it, so a wrong or lost calibration can cost fairness for a moment and money never.
 */
import type { ModelPrice } from './prices.ts'

export interface Expectation {
  readonly tokensPerByte: number
  readonly outputTokens: number
}

/** One settled call: what was sent as text and what the provider reported for it. */
export interface Sample {
  readonly textBytes: number
  readonly inputTokens: number
  readonly outputTokens: number
}

/** Weight of the newest sample. Values from 0.05 to 0.2 differ by less than 0.2 points of error on recorded traffic. */
const WEIGHT = 0.1

/** English text and code in o200k tokens; scaled by the model's own ratio until it has a sample. */
const TOKENS_PER_BYTE_START = 0.25

/** Expected length of an answer before any has been seen. */
const OUTPUT_TOKENS_START = 512

/** Below this many bytes the provider's fixed framing outweighs the text and says nothing about its density. */
const TEXT_BYTES_MIN = 200

/** Models that are remembered; the one learned from longest ago is forgotten first. Far above any real table. */
export const CALIBRATED_MODELS_MAX = 1_000

export class Calibration {
  /** Owned here alone; insertion order is the order of learning, at most {@link CALIBRATED_MODELS_MAX} entries. */
  readonly #models = new Map<string, Expectation>()

  expectation(model: ModelPrice): Expectation {
    return this.#models.get(keyOf(model)) ?? startOf(model)
  }

  /**
   * Learns from one settled call whose usage the provider reported. Calls with media, hidden content or server tools
   * teach nothing about text: the caller leaves them out.
   */
  learn(model: ModelPrice, sample: Sample): void {
    const before = this.expectation(model)
    const density = sample.textBytes < TEXT_BYTES_MIN ? Number.NaN : sample.inputTokens / sample.textBytes
    const key = keyOf(model)
    this.#models.delete(key)
    this.#models.set(key, {
      tokensPerByte: mix(before.tokensPerByte, density),
      outputTokens: mix(before.outputTokens, sample.outputTokens),
    })
    if (this.#models.size > CALIBRATED_MODELS_MAX) this.#forgetOldest()
  }

  #forgetOldest(): void {
    const [oldest] = this.#models.keys()
    if (oldest !== undefined) this.#models.delete(oldest)
  }
}

function startOf(model: ModelPrice): Expectation {
  const { numerator, denominator } = model.tokenizer.ratioO200k
  return {
    tokensPerByte: TOKENS_PER_BYTE_START * (Number(numerator) / Number(denominator)),
    outputTokens: OUTPUT_TOKENS_START,
  }
}

function mix(before: number, sample: number): number {
  const usable = Number.isFinite(sample) && sample > 0
  return usable ? before * (1 - WEIGHT) + sample * WEIGHT : before
}

function keyOf(model: ModelPrice): string {
  return `${model.provider}\0${model.id}`
}
