import { describe, expect, it } from 'vitest'
import type { Decision } from '../../src/domain/decision.ts'
import { toNanoUsd } from '../../src/domain/prices/money.ts'
import { LedgerUnavailable } from '../../src/domain/failures.ts'
import type { Ledger } from '../../src/ports/ledger.ts'
import { reserve } from '../../src/steps/reserve.ts'
import { LEASE_MS } from '../../src/domain/ledger/reservation.ts'
import { estimate, identity, NOW } from '../domain/policy-fixtures.ts'
import { estimated, noRefinement, otherwise, pace, purse, steps } from './fixtures.ts'

const UPPER = estimate().cost.upper

/** What the counters of a decision stand at now. */
async function standing(ledger: Ledger, decision: Decision) {
  const charges = decision.facts.charges ?? []
  const states = await ledger.balances(charges.map((charge) => charge.accumulator))
  return states.map(({ settled, held }) => [settled, held])
}

/** Counts refinements and answers each with the same. */
function refinement(answer: ReturnType<typeof estimate> | undefined) {
  const asked: (readonly number[])[] = []
  const refine: Parameters<typeof reserve>[1] = async (shortfalls) => {
    asked.push(shortfalls.map(({ index }) => index))
    return answer
  }
  return { asked, refine }
}

const small = estimate({ cost: { expected: toNanoUsd(1n), upper: toNanoUsd(10n) }, method: 'tokenizer' })

describe('reserve', () => {
  it('holds the bound of every budget and draws every limit, and says how they stood before', async () => {
    const world = steps()
    const { asked, refine } = refinement(small)
    const decision = await reserve(estimated(), refine, world)
    expect(decision).toMatchObject({ kind: 'admitted', hold: { id: `${decision.facts.call.id}.1` } })
    expect(decision.facts.states?.map(({ settled, held }) => [settled, held])).toEqual([
      [0, 0],
      [0, 0],
    ])
    expect(await standing(world.memory, decision)).toEqual([
      [1, 0],
      [0, Number(UPPER)],
    ])
    expect(asked).toEqual([])
  })

  it('refuses what does not fit, changes nothing, and asks for a tighter estimate once', async () => {
    const world = steps()
    const { asked, refine } = refinement(undefined)
    const decision = await reserve(estimated({ budgets: [{ ...purse, amount: 5 }] }), refine, world)
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'never_fits', limit: { rule: 'purse' } } })
    expect(asked).toEqual([[1]])
    expect(decision.facts.charges?.map(({ rule }) => rule)).toEqual(['purse'])
    expect(await standing(world.memory, decision)).toEqual([[0, 0]])
    expect(world.memory.size()).toBe(0)
  })

  it('admits what fits by the tighter estimate, and holds that', async () => {
    const world = steps()
    const { asked, refine } = refinement(small)
    const decision = await reserve(estimated({ budgets: [{ ...purse, amount: 10 }] }), refine, world)
    expect(decision).toMatchObject({ kind: 'admitted', facts: { estimate: { method: 'tokenizer' } } })
    expect(asked).toHaveLength(1)
    expect(await standing(world.memory, decision)).toEqual([
      [1, 0],
      [0, 10],
    ])
  })

  it('asks no second time when the tighter estimate does not fit either', async () => {
    const world = steps()
    const { asked, refine } = refinement(small)
    const decision = await reserve(estimated({ budgets: [{ ...purse, amount: 9 }] }), refine, world)
    expect(decision).toMatchObject({ kind: 'refused', facts: { estimate: { method: 'tokenizer' } } })
    expect(asked).toHaveLength(1)
    expect(world.memory.size()).toBe(0)
  })

  it('does not touch the ledger for a caller that a rule cannot count', async () => {
    const world = steps()
    let asked = 0
    const ledger = otherwise(world.ledger, {
      async reserve(request) {
        asked += 1
        return world.memory.reserve(request)
      },
    })
    const facts = estimated({}, { identity: identity({ tenant: 'acme', agent: 'bot' }) })
    const decision = await reserve(facts, noRefinement, { ...world, ledger })
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'identity_incomplete' } })
    expect(asked).toBe(0)
  })
})

describe('a ledger that does not answer', () => {
  /** Reserves, and loses the answer on the way back. */
  const deaf = (ledger: Ledger): Ledger =>
    otherwise(ledger, {
      async reserve(request) {
        await ledger.reserve(request)
        throw new LedgerUnavailable('no answer')
      },
    })

  it('makes a refusal that may be tried again, and what may have been held is given back', async () => {
    const world = steps(deaf)
    const decision = await reserve(estimated(), noRefinement, world)
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'ledger_unavailable' } })
    expect(world.seen).toEqual([['ledgerFailed', 'reserve', expect.any(LedgerUnavailable)]])
    await Promise.resolve()
    expect(await world.memory.holds(10)).toEqual([])
    const again = await reserve(estimated({ budgets: [{ ...purse, amount: Number(UPPER) }] }), noRefinement, {
      ...world,
      ledger: world.memory,
    })
    expect(again.kind).toBe('admitted')
  })

  it('and certainly did nothing is asked for nothing more, and the caller reads why', async () => {
    let voids = 0
    const certain = (ledger: Ledger) =>
      otherwise(ledger, {
        async reserve() {
          throw new LedgerUnavailable('OOM', { fault: 'out_of_memory', maybeDone: false })
        },
        async void(hold) {
          voids += 1
          return ledger.void(hold)
        },
      })
    const world = steps(certain)
    const decision = await reserve(estimated(), noRefinement, world)
    expect(decision).toMatchObject({
      kind: 'refused',
      refusal: { reason: 'out_of_memory', message: expect.stringContaining('the ledger is out of memory') },
    })
    await world.openCalls.idle()
    expect(voids).toBe(0)
  })

  it.each([
    ['timeout', 1],
    ['connection_refused', 1],
    ['lost', 0],
    ['rebuilding', 0],
    ['waiting', 0],
    ['unverified', 0],
  ] as const)('with %s lets this node decide alone %i times: never while it is being rebuilt', async (fault, times) => {
    let asked = 0
    const away = (ledger: Ledger) =>
      otherwise(ledger, {
        async reserve() {
          throw new LedgerUnavailable('away', { fault, maybeDone: false })
        },
        async reserveLocally() {
          asked += 1
          return undefined
        },
      })
    const decision = await reserve(estimated(), noRefinement, steps(away))
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'ledger_unavailable', reason: fault } })
    expect(asked).toBe(times)
  })

  it('is asked to void until it does, and shutdown waits for that', async () => {
    let refusals = 7
    const slow = (ledger: Ledger) =>
      otherwise(deaf(ledger), {
        async void(hold) {
          refusals -= 1
          if (refusals >= 0) throw new LedgerUnavailable('still none')
          return ledger.void(hold)
        },
      })
    const world = steps(slow)
    expect((await reserve(estimated(), noRefinement, world)).kind).toBe('refused')
    await world.openCalls.idle()
    expect(await world.memory.holds(10)).toEqual([])
    expect(world.waits).toHaveLength(7)
    expect(world.seen.filter(([name]) => name === 'settlementDelayed')).toHaveLength(7)
  })

  it('that never takes the void is given up in the end, and operators are told', async () => {
    const refusing = (ledger: Ledger) =>
      otherwise(deaf(ledger), { void: async () => Promise.reject(new LedgerUnavailable('still none')) })
    const world = steps(refusing)
    await reserve(estimated(), noRefinement, world)
    await world.openCalls.idle()
    expect(world.seen.at(-1)?.[0]).toBe('settlementAbandoned')
    expect(world.waits.reduce((sum, ms) => sum + ms, 0)).toBeLessThan(LEASE_MS)
  })

  it('and that knows a call already, because its command came twice, keeps nothing of it held', async () => {
    const repeating = (ledger: Ledger) =>
      otherwise(ledger, {
        async reserve(request) {
          await ledger.reserve(request)
          return ledger.reserve(request)
        },
      })
    const world = steps(repeating)
    const decision = await reserve(estimated(), noRefinement, world)
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'ledger_unavailable' } })
    await world.openCalls.idle()
    expect(await world.memory.holds(10)).toEqual([])
  })

  it.each([
    ['stale', { kind: 'stale', nowMs: NOW }],
    ['that it knows the call already', { kind: 'duplicate', state: 'settled' }],
  ] as const)('in any other way (%s) admits nothing', async (_, answer) => {
    let asked = 0
    const odd = (ledger: Ledger): Ledger =>
      otherwise(ledger, {
        async reserve() {
          asked += 1
          return answer
        },
      })
    const world = steps(odd)
    const decision = await reserve(estimated(), noRefinement, world)
    expect(decision).toMatchObject({ kind: 'refused', refusal: { code: 'ledger_unavailable' } })
    expect(asked).toBe(answer.kind === 'stale' ? 2 : 1)
    expect(world.seen).toHaveLength(1)
  })
})

describe('a ledger whose clock is past the end of a window', () => {
  it('is asked again with the windows of its own time', async () => {
    const monthEndMs = Date.parse('2026-11-30T23:00:00Z')
    const ahead = (ledger: Ledger): Ledger =>
      otherwise(ledger, {
        async reserve(request) {
          const windows = request.charges.flatMap(({ accumulator: { shape } }) =>
            shape.kind === 'budget' && shape.window !== null ? [shape.window] : [],
          )
          return windows.some(({ endMs }) => endMs <= monthEndMs)
            ? { kind: 'stale', nowMs: monthEndMs + 1 }
            : ledger.reserve(request)
        },
      })
    const world = steps(ahead)
    world.clock.ms = monthEndMs + 1
    const facts = estimated({ limits: [pace] })
    const behind = { ...world, clock: { nowMs: () => monthEndMs - 1 } }
    const decision = await reserve(facts, noRefinement, behind)
    expect(decision.kind).toBe('admitted')
    const windowed = decision.facts.charges?.find(({ rule }) => rule === 'purse')
    expect(windowed?.resetsAtMs).toBe(Date.parse('2026-12-31T23:00:00Z'))
  })
})
