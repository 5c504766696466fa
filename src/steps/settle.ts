import { actualCharges } from '../domain/ledger/charges.ts'
import { costOf } from '../domain/prices/cost.ts'
import type { Priced } from '../domain/prices/cost.ts'
import type { Admitted } from '../domain/decision.ts'
import { ZERO_USD } from '../domain/prices/money.ts'
import type { NanoUsd } from '../domain/prices/money.ts'
import { scaleUp } from '../domain/prices/prices.ts'
import type { Ending, Settlement } from '../domain/settlement.ts'
import type { Usage, UsageBasis } from '../domain/prices/usage.ts'
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
  // An answer that this side gave up on may have been written to its end: unknown is never free.
  if (ending.consumed !== 'nothing' && ending.givenUp === true) return settleAtBound(admitted, ending)
  const known = await find(admitted, ending, world)
  if (known.basis === 'none') return nothingSpent(admitted, ending)
  if (known.basis === 'provider_usage' && ending.truncated !== true) learn(admitted, known.usage, world)
  return price(admitted, ending, known)
}

async function find(admitted: Admitted, ending: Ending, world: Pick<World, 'counter'>): Promise<Known> {
  if (ending.consumed === 'nothing') return NOTHING
  if (ending.usage === undefined) return count(admitted, ending, world)
  const reported = { usage: ending.usage, basis: 'provider_usage' as const }
  if (isBlank(ending.usage)) return atLeastCounted(ending.usage, await count(admitted, ending, world))
  if (ending.truncated !== true) return reported
  const output = await countOutput(admitted, ending, world)
  return output > ending.usage.outputTokens ? withOutput(ending.usage, output) : reported
}

/** No answer is made from nothing; a provider that reports zeros has reported nothing. */
function isBlank(usage: Usage): boolean {
  return usage.inputTokens === 0 || usage.outputTokens === 0
}

function atLeastCounted(usage: Usage, counted: Known): Known {
  const short = usage.inputTokens === 0 || usage.outputTokens < counted.usage.outputTokens
  if (!short) return { usage, basis: 'provider_usage' }
  const inputTokens = Math.max(usage.inputTokens, usage.inputTokens === 0 ? counted.usage.inputTokens : 0)
  const outputTokens = Math.max(usage.outputTokens, counted.usage.outputTokens)
  const input = usage.inputTokens === 0 ? inputTokens : usage.quantities.input
  const quantities = { ...usage.quantities, ...(input !== undefined && { input }), output: outputTokens }
  return { usage: { ...usage, quantities, inputTokens, outputTokens, consistent: false }, basis: 'counted_output' }
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

/** Money and tokens are given back. A call that the provider has seen and refused was still a call. */
function nothingSpent(admitted: Admitted, ending: Ending): Settlement {
  const wasSeen = ending.word === 'upstream_refused'
  const amounts = admitted.facts.charges.map((charge) => (wasSeen && charge.unit === 'requests' ? charge.amount : 0))
  return { admitted, ending, ...NOTHING, cost: ZERO_USD, lines: [], amounts, flags: [] }
}

/** The settlement of a call that cannot be worked out: everything that was held is charged. */
export function settleAtBound(admitted: Admitted, ending: Ending): Settlement {
  const { charges, estimate } = admitted.facts
  const [inputTokens, outputTokens] = [estimate.inputTokens.upper, estimate.outputTokens.upper]
  const quantities = { input: inputTokens, output: outputTokens }
  return {
    admitted,
    ending,
    usage: { quantities, inputTokens, outputTokens, consistent: true },
    basis: 'estimate',
    cost: estimate.cost.upper,
    lines: [],
    amounts: charges.map((charge) => charge.amount),
    flags: ['settled_at_bound'],
  }
}

function price(admitted: Admitted, ending: Ending, known: Known): Settlement {
  const { facts } = admitted
  const { priced, isOtherModel } = dearest(admitted, known.usage)
  const cost = bounded(priced, known.basis, facts.estimate.cost.upper)
  return {
    admitted,
    ending,
    ...known,
    cost,
    lines: priced.kind === 'priced' ? priced.lines : [],
    amounts: actualCharges(facts.charges, { costNanoUsd: cost, ...tokens(known.usage) }),
    flags: flagsOf(priced, known.usage, isOtherModel, cost > facts.estimate.cost.upper),
  }
}

/** A cost without a price is the whole bound; an estimate never exceeds the bound; a reported cost is a fact. */
function bounded(priced: Priced, basis: UsageBasis, upper: NanoUsd): NanoUsd {
  if (priced.kind === 'unpriced') return upper
  return basis !== 'provider_usage' && priced.nanoUsd > upper ? upper : priced.nanoUsd
}

/**
 * An answer that names another model than the one asked for (a snapshot or alias of it is the same) is flagged, and the
 * dearer of the two prices counts: a name in an answer must not make it cheaper.
 */
function dearest(admitted: Admitted, usage: Usage): { readonly priced: Priced; readonly isOtherModel: boolean } {
  const { price: asked, prices, target, call } = admitted.facts
  const priced = costOf(asked, usage, call.startedAtMs)
  if (usage.model === undefined || usage.model === target.model) return { priced, isOtherModel: false }
  const named = prices.find(asked.provider, usage.model)
  if (named?.id === asked.id) return { priced, isOtherModel: false }
  const other = named === undefined ? undefined : costOf(named, usage, call.startedAtMs)
  const isDearer = other?.kind === 'priced' && priced.kind === 'priced' && other.nanoUsd > priced.nanoUsd
  return { priced: isDearer ? other : priced, isOtherModel: true }
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
