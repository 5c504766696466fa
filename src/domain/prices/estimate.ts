/**
 * What a call can cost, before it is made. Budgets hold the upper bound; protective rates draw the expected value.
 */
import type { Ask } from '../ask.ts'
import type { NanoUsd } from './money.ts'
import { scaleUp, type ModelPrice } from './prices.ts'

export interface Range {
  readonly expected: number
  readonly upper: number
}

/** How the input bound was found, cheapest first. */
export type InputMethod = 'bytes' | 'tokenizer' | 'model_maximum'

export interface Estimate {
  readonly inputTokens: Range
  /** Over all choices. */
  readonly outputTokens: Range
  readonly cost: { readonly expected: NanoUsd; readonly upper: NanoUsd }
  readonly method: InputMethod
  /** The maximum for one choice that goes upstream: the caller's own, or the one the gateway injects. */
  readonly outputTokensMax: number
  /** True when the caller gave no maximum and the gateway set one. */
  readonly outputMaxInjected: boolean
  /** The maximum before it was made smaller to fit what is left; absent when it was not. */
  readonly outputTokensAsked?: number | undefined
}

/** The maximum that the gateway sets upstream; undefined when the caller's own stands. */
export function maximumSet(estimate: Estimate): number | undefined {
  const { outputMaxInjected, outputTokensAsked, outputTokensMax } = estimate
  return outputMaxInjected || outputTokensAsked !== undefined ? outputTokensMax : undefined
}

/** Tokens a provider adds on its own (framing, hidden prompts), measured over current models; tools bring far more. */
const OVERHEAD_TOKENS = 128
const OVERHEAD_TOKENS_WITH_TOOLS = 1_024

/** Output that is asked for when the caller gives no maximum: enough for long answers, far from a model's whole window. */
export const OUTPUT_TOKENS_DEFAULT = 16_384

/** A smaller maximum would cut answers off rather than bound them: the gateway sets none. */
export const OUTPUT_TOKENS_FLOOR = 256

/** A typical picture; its bound is the model's largest. */
const IMAGE_TOKENS_EXPECTED = 1_000

/** Room kept between expected input and context when a maximum is injected: the expectation may be off by half. */
const INPUT_MARGIN = 1.5

/** What the output of a call is bounded by. */
export interface OutputBound {
  /** Over all choices. */
  readonly upper: number
  readonly perChoiceMax: number
  readonly injected: boolean
}

/** Media and hidden framing: tokens that no reading of the text can lower. */
export function fixedTokens(ask: Ask, model: ModelPrice): number {
  const overhead = ask.hasTools ? OVERHEAD_TOKENS_WITH_TOOLS : OVERHEAD_TOKENS
  return saturate(ask.images * model.imageTokensMax + ask.mediaTokensMax + overhead)
}

/**
 * The input bound that costs nothing: a byte-level tokenizer makes at most one token of a byte, and the bytes of keys and
 * escapes exceed the framing they stand for. A bound above the model's maximum input is that maximum, because the
 * provider refuses more. Content the gateway cannot see takes the maximum, once more for every server tool call, since
 * each call has the model read its context again, and each time twice where the context may be compacted.
 */
export function byteBound(ask: Ask, model: ModelPrice): { readonly tokens: number; readonly method: InputMethod } {
  const isOpaque = ask.opaque.length > 0 || ask.compacts === true || (ask.images > 0 && model.imageTokensMax === 0)
  if (ask.serverTools.length > 0 || isOpaque) {
    const readings = turns(ask) * (ask.compacts === true ? 2 : 1)
    return { tokens: saturate(model.inputMax * readings), method: 'model_maximum' }
  }
  const tokens = saturate(scaleUp(ask.textBytes, model.tokenizer.bytesFactor) + fixedTokens(ask, model))
  return { tokens: Math.min(tokens, model.inputMax), method: 'bytes' }
}

/** How often a model may be run for one call: once, and again after each call of a server tool. */
function turns(ask: Ask): number {
  return ask.serverTools.reduce((sum, tool) => sum + (tool.callsMax ?? 0), 1)
}

export function expectedInput(ask: Ask, model: ModelPrice, tokensPerByte: number): number {
  const images = ask.images * Math.min(IMAGE_TOKENS_EXPECTED, model.imageTokensMax)
  const tokens = Math.ceil(ask.textBytes * tokensPerByte) + images + ask.mediaTokensMax
  return Math.min(Math.max(1, tokens), model.inputMax)
}

/**
 * The caller's own maximum, or one that is set for it: never more than the model can give, so nothing idle is held. What
 * was predicted and not written is billed on top, and so is each summary.
 */
export function outputBound(
  ask: Ask,
  model: ModelPrice,
  limits: { readonly allowedMax: number | undefined; readonly inputTokens: number },
): OutputBound {
  // No provider takes a maximum beside a prediction: one is set only where a rule demands it.
  const isPredicted = ask.predictedBytes !== undefined && limits.allowedMax === undefined
  const injected = ask.outputTokensMax === undefined && !isPredicted
  const perChoiceMax = ask.outputTokensMax ?? (isPredicted ? model.outputMax : injectedMax(model, limits))
  const predicted = scaleUp(ask.predictedBytes ?? 0, model.tokenizer.bytesFactor)
  const summaries = ask.compacts === true ? turns(ask) * model.outputMax : 0
  const upper = saturate((Math.min(perChoiceMax, model.outputMax) + predicted) * ask.choices + summaries)
  return { upper, perChoiceMax, injected }
}

/** Leaves room for the input: providers refuse a call whose prompt and maximum together exceed the context. */
function injectedMax(
  model: ModelPrice,
  limits: { readonly allowedMax: number | undefined; readonly inputTokens: number },
): number {
  const room = Math.floor(model.context - limits.inputTokens * INPUT_MARGIN)
  const wanted = Math.max(OUTPUT_TOKENS_FLOOR, Math.min(OUTPUT_TOKENS_DEFAULT, room))
  return Math.min(wanted, model.outputMax, limits.allowedMax ?? model.outputMax)
}

/** A caller's numbers may multiply beyond what a double counts exactly; no limit is that large. */
function saturate(tokens: number): number {
  return Math.min(tokens, Number.MAX_SAFE_INTEGER)
}
