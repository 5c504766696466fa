/**
 * A fleet under load until its budget is spent, while something happens to its store; and what must hold after it.
 */
import { expect } from 'vitest'
import { books, count, load, TOKENS_BOUND_MAX, TOKENS_PER_CALL } from './fleet.ts'
import type { Fleet, Seen } from './fleet.ts'

const CALLERS = 16

/** Room for this many calls at what they really cost. */
const CALLS = 400
export const TOKENS = CALLS * TOKENS_PER_CALL

/** An incident begins when this many calls were admitted; the next one when as many more were. */
const CALLS_BETWEEN = 100

/** Calls until the budget refuses all of them. Each incident is begun once, under load. */
export async function spendAll(fleet: Fleet, incidents: readonly (() => Promise<unknown>)[]): Promise<readonly Seen[]> {
  const under: Promise<unknown>[] = []
  const seen = await load(fleet, CALLERS, (all) => {
    const next = incidents[under.length]
    if (next !== undefined && count(all, 200) >= CALLS_BETWEEN * (under.length + 1)) under.push(next())
    return under.length === incidents.length && isSpent(all)
  })
  await Promise.all(under)
  return [...seen, ...(await spendRest(fleet))]
}

/** Holds can refuse calls that there is room for: with nothing held, one refusal says that the budget is spent. */
async function spendRest(fleet: Fleet): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  for (;;) {
    await books(fleet)
    const begun = seen.length
    for (let last = 200; last === 200; last = seen.at(-1)?.status ?? 0) seen.push(await fleet.call(0))
    if (seen.length === begun + 1 && seen.at(-1)?.status === 429) return seen
  }
}

/** Refused by the budget itself, several times in a row. */
function isSpent(all: readonly Seen[]): boolean {
  const last = all.slice(-5 * CALLERS)
  return last.length === 5 * CALLERS && last.every(({ status }) => status === 429)
}

/** Callers saw answers, refusals and 503s with a reason; the three books agree to the token, below the budget. */
export async function expectExact(fleet: Fleet, seen: readonly Seen[]): Promise<{ log: number; ledger: number }> {
  expect(count(seen, 200) + count(seen, 429) + count(seen, 503)).toBe(seen.length)
  const away = new Set(seen.filter(({ status }) => status === 503).map(({ code }) => code))
  expect([...away].filter((code) => code !== 'policy_unavailable')).toEqual([])
  const sums = await books(fleet)
  expect(sums).toEqual({ log: sums.log, ledger: sums.log, held: 0, provider: sums.log })
  expect(sums.log).toBe(count(seen, 200) * TOKENS_PER_CALL)
  expect(sums.log).toBeLessThanOrEqual(TOKENS)
  expect(sums.log).toBeGreaterThan(TOKENS - TOKENS_BOUND_MAX)
  return sums
}
