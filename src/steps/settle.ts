import { actualCharges } from '../domain/charges.ts'
import { costOf } from '../domain/cost.ts'
import type { Priced } from '../domain/cost.ts'
import type { Admitted } from '../domain/decision.ts'
import { ZERO_USD } from '../domain/money.ts'
import type { NanoUsd } from '../domain/money.ts'
import { scaleUp } from '../domain/prices.ts'
import type { Ending, Settlement } from '../domain/settlement.ts'
import type { Usage, UsageBasis } from '../domain/usage.ts'
import type { World } from '../ports.ts'

/** What was used and how it is known. */
interface Known {
  readonly usage: Usage
  readonly basis: UsageBasis
}

const NOTHING: Known = {
  usage: { quantities: {}, inputTokens: 0, outputTokens: 0, consistent: true },
  basis: 'none',
}

/**
 * Ending -> settlement: what the call really used, what that costs, and what each charge of its hold becomes. Usage that
 * the provider reported counts as it is; without it the input is estimated and the output counted, never above the bound
 * that was held. Usage of an answer that broke off names at least its input; its output is counted when that is more.
 */
export async function settle(
  admitted: Admitted,
  ending: Ending,
  world: Pick<World, 'counter' | 'calibration'>,
): Promise<Settlement> {
  const known = await find(admitted, ending, world)
  if (known.basis === 'none') return nothingSpent(admitted, ending)
  if (known.basis === 'provider_usage' && ending.truncated !== true) learn(admitted, known.usage, world)
  return price(admitted, ending, known)
}

async function find(admitted: Admitted, ending: Ending, world: Pick<World, 'counter'>): Promise<Known> {
  if (ending.consumed === 'nothing') return NOTHING
  if (ending.usage === undefined) return count(admitted, ending, world)
  const reported = { usage: ending.usage, basis: 'provider_usage' as const }
  if (ending.truncated !== true) return reported
  const output = await countOutput(admitted, ending, world)
  return output > ending.usage.outputTokens ? withOutput(ending.usage, output) : reported
}

/** Messages begins a stream with its input and a first token of output; the rest is told at its end, if it has one. */
function withOutput(usage: Usage, outputTokens: number): Known {
  const quantities = { ...usage.quantities, output: outputTokens }
  return { usage: { ...usage, quantities, outputTokens }, basis: 'counted_output' }
}

/** Input by the exact count where the encoding is public, else as expected; output by what was seen. */
async function count(admitted: Admitted, ending: Ending, world: Pick<World, 'counter'>): Promise<Known> {
  const { ask, estimate, price } = admitted.facts
  const { encoding } = price.tokenizer
  const [input, outputTokens] = await Promise.all([
    encoding === undefined ? undefined : world.counter.count(ask.texts(), encoding),
    countOutput(admitted, ending, world),
  ])
  const inputTokens = Math.min(Math.max(input ?? 0, estimate.inputTokens.expected), estimate.inputTokens.upper)
  return {
    usage: { quantities: { input: inputTokens, output: outputTokens }, inputTokens, outputTokens, consistent: true },
    basis: outputTokens > 0 ? 'counted_output' : 'estimate',
  }
}

/** Where the encoding is not public, a public one stands in for it, at the ratio measured between the two. */
async function countOutput(admitted: Admitted, ending: Ending, world: Pick<World, 'counter'>): Promise<number> {
  const { estimate, price } = admitted.facts
  const { encoding, ratioO200k } = price.tokenizer
  const texts = ending.outputTexts()
  const found = await world.counter.count(texts, encoding ?? 'o200k_base')
  const counted = found === undefined ? utf8Bytes(texts) : encoding === undefined ? scaleUp(found, ratioO200k) : found
  return Math.min(counted + ending.outputBytesBeyond, estimate.outputTokens.upper)
}

function utf8Bytes(texts: readonly string[]): number {
  return texts.reduce((sum, text) => sum + Buffer.byteLength(text), 0)
}

function nothingSpent(admitted: Admitted, ending: Ending): Settlement {
  const amounts = admitted.facts.charges.map(() => 0)
  return { admitted, ending, ...NOTHING, cost: ZERO_USD, lines: [], amounts, flags: [] }
}

function price(admitted: Admitted, ending: Ending, known: Known): Settlement {
  const { facts } = admitted
  const answeredBy = modelOf(admitted, known.usage)
  const priced = costOf(answeredBy.price, known.usage, facts.call.startedAtMs)
  const cost = bounded(priced, known.basis, facts.estimate.cost.upper)
  return {
    admitted,
    ending,
    ...known,
    cost,
    lines: priced.kind === 'priced' ? priced.lines : [],
    amounts: actualCharges(facts.charges, { costNanoUsd: cost, ...tokens(known.usage) }),
    flags: flagsOf(priced, known.usage, answeredBy.mismatch, cost > facts.estimate.cost.upper),
  }
}

/** A cost without a price is the whole bound; an estimate never exceeds the bound; a reported cost is a fact. */
function bounded(priced: Priced, basis: UsageBasis, upper: NanoUsd): NanoUsd {
  if (priced.kind === 'unpriced') return upper
  return basis !== 'provider_usage' && priced.nanoUsd > upper ? upper : priced.nanoUsd
}

/** The answer's own model decides the price when the table knows it; else the one that was asked for. */
function modelOf(
  admitted: Admitted,
  usage: Usage,
): { readonly price: Required<Admitted['facts']>['price']; readonly mismatch: boolean } {
  const { price: asked, prices, target } = admitted.facts
  if (usage.model === undefined || usage.model === target.model) return { price: asked, mismatch: false }
  const found = prices.find(asked.provider, usage.model)
  return { price: found ?? asked, mismatch: found === undefined }
}

function tokens(usage: Usage): { readonly inputTokens: number; readonly outputTokens: number } {
  return { inputTokens: usage.inputTokens, outputTokens: usage.outputTokens }
}

function flagsOf(priced: Priced, usage: Usage, mismatch: boolean, exceeded: boolean): readonly string[] {
  return [
    ...(priced.kind === 'unpriced' ? [priced.fault] : []),
    ...(usage.consistent ? [] : ['usage_inconsistent']),
    ...(mismatch ? ['model_mismatch'] : []),
    ...(exceeded ? ['bound_exceeded'] : []),
  ]
}

function learn(admitted: Admitted, usage: Usage, world: Pick<World, 'calibration'>): void {
  const { ask, price: model } = admitted.facts
  if (ask.images > 0 || ask.mediaTokensMax > 0 || ask.opaque.length > 0 || ask.serverTools.length > 0) return
  world.calibration.learn(model, { textBytes: ask.textBytes, ...tokens(usage) })
}
