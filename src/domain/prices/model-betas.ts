import type { ModelPrice } from './prices.ts'

/** Betas that widen a model: `context-1m-2025-08-07`, `output-128k-2025-02-19`. The number is in tokens. */
const WIDENING = /^(context|output)-(\d{1,4})([km])(?:-|$)/

const SCALE = { k: 1_000, m: 1_000_000 } as const

/**
 * A model as the betas of a request make it. A caller chooses its betas freely, so what they could allow is bounded, and
 * not only what the price table says of the model without them.
 */
export function widened(model: ModelPrice, betas: string | undefined): ModelPrice {
  if (betas === undefined) return model
  let { context, inputMax, outputMax } = model
  for (const beta of betas.split(',')) {
    const [, what, number = '0', scale = 'k'] = WIDENING.exec(beta.trim().toLowerCase()) ?? []
    const tokens = Number(number) * (scale === 'm' ? SCALE.m : SCALE.k)
    if (what === 'output') outputMax = Math.max(outputMax, tokens)
    if (what === 'context') [context, inputMax] = [Math.max(context, tokens), Math.max(inputMax, tokens)]
  }
  return { ...model, context, inputMax, outputMax }
}
