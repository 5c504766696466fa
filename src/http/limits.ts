import type { RequestHandler } from 'express'
import type { AccumulatorShape } from '../domain/ledger/accumulator.ts'
import { standingCharges } from '../domain/ledger/charges.ts'
import { faultOf } from '../domain/failures.ts'
import { LEDGER_FAULTS } from '../domain/ledger/ledger-fault.ts'
import { writeAmount } from '../domain/audit/record-texts.ts'
import { refuse } from '../domain/refusal.ts'
import type { World } from '../ports.ts'
import { writeRefusal } from './answer.ts'
import { known } from './caller.ts'
import type { Dialects } from './caller.ts'

/** GET /v1/limits: every limit and budget that applies to this caller, with what is used, held and left of it. */
export function limits(dialects: Dialects, world: World): RequestHandler {
  return known('/v1/limits', dialects, world, async ({ identity, response, family }) => {
    const nowMs = world.clock.nowMs()
    const charges = standingCharges(world.rules.policy(), identity, nowMs)
    try {
      const states = await world.ledger.balances(charges.map((charge) => charge.accumulator))
      const data = charges.flatMap((charge, index) => {
        const state = states[index]
        return state === undefined ? [] : [describe(charge, state)]
      })
      response.json({ object: 'list', data })
    } catch (error) {
      world.events.ledgerFailed('balances', error)
      const message = `Limits and budgets cannot be read right now: ${LEDGER_FAULTS[faultOf(error)]}. Try again shortly.`
      const refusal = refuse('ledger_unavailable', message)
      const requestId = String(response.getHeader('x-request-id') ?? '')
      const context = { requestId, receipt: undefined, retryCount: 0, isClaudeCode: false }
      writeRefusal(response, refusal, dialects[family], context)
    }
  })
}

type StandingCharge = ReturnType<typeof standingCharges>[number]
type State = Awaited<ReturnType<World['ledger']['balances']>>[number]

function describe(charge: StandingCharge, state: State): object {
  const write = (amount: number) => writeAmount(charge.unit, amount)
  return {
    object: charge.ruleKind,
    rule: charge.rule,
    dimension: charge.dimension,
    subject: charge.subject,
    unit: charge.unit,
    limit: write(state.limit),
    used: write(state.settled),
    held: write(state.held),
    remaining: write(Math.max(0, state.limit - state.settled - state.held)),
    window: describeWindow(charge.accumulator.shape, state.limit, write),
    resets_at: charge.resetsAtMs === undefined ? null : new Date(charge.resetsAtMs).toISOString(),
  }
}

/**
 * How much there is in how much time; null for places, lifetimes and spans. A bucket refills by `amount` in it, and its `limit` is
 * the most there can be at once; for all others the two are the same.
 */
function describeWindow(
  shape: AccumulatorShape,
  limit: number,
  write: (amount: number) => string | number,
): { readonly seconds: number; readonly amount: string | number } | null {
  switch (shape.kind) {
    case 'budget':
      if (shape.window === null) return null
      return { seconds: (shape.window.endMs - shape.window.startMs) / 1_000, amount: write(limit) }
    case 'concurrency':
    case 'span':
      return null
    case 'sliding':
      return { seconds: shape.windowMs / 1_000, amount: write(limit) }
    case 'bucket':
      return { seconds: shape.periodMs / 1_000, amount: write(shape.amount) }
  }
}
