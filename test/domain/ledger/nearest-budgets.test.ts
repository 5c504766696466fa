import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { NearestBudgets, shareOf } from '../../../src/domain/ledger/nearest-budgets.ts'
import type { BudgetStanding } from '../../../src/domain/ledger/nearest-budgets.ts'
import { readKeysWith } from '../../../src/domain/policy/policy-keys.ts'
import type { BudgetPage } from '../../../src/domain/ledger/reservation.ts'
import { budget, NOW, policy } from '../policy-fixtures.ts'

function standing(key: string, settled: number, limit: number | undefined, held = 0): BudgetStanding {
  return { key, rule: 'purse', unit: 'tokens', settled, held, limit, windowEndMs: null }
}

describe('the nearest budgets', () => {
  it('are those with the largest share used or held, whatever comes when', () => {
    const amounts = fc.array(fc.tuple(fc.nat(30), fc.nat(20), fc.integer({ min: 1, max: 40 })), { maxLength: 60 })
    fc.assert(
      fc.property(amounts, fc.integer({ min: 1, max: 5 }), (entries, max) => {
        const nearest = new NearestBudgets(max)
        const all = entries.map(([settled, held, limit], index) => standing(`k${index}`, settled, limit, held))
        for (const one of all) nearest.add(one)
        const shares = (list: readonly BudgetStanding[]) => list.map(shareOf)
        expect(shares(nearest.list())).toEqual(shares(all.toSorted((a, b) => shareOf(b)! - shareOf(a)!).slice(0, max)))
        expect(nearest.seen).toBe(all.length)
      }),
    )
  })

  it('tell the later word of one that came twice', () => {
    const nearest = new NearestBudgets(3)
    for (const settled of [5, 7]) nearest.add(standing('same', settled, 10))
    expect(nearest.list()).toEqual([standing('same', 7, 10)])
  })

  it('are found page by page, as far as they are asked to, among the budgets that count now', async () => {
    const set = policy({ budgets: [budget({ name: 'ever', id: 'Bever000', period: 'lifetime', unit: 'tokens' })] })
    const page = (number: number): BudgetPage => {
      const stored = { settled: number, held: 0, limit: 10 }
      return {
        seen: 2,
        budgets: [
          { key: `Bever000:a${number}`, ...stored },
          { key: `Bgone000:a${number}`, ...stored },
        ],
      }
    }
    const look = async (pages: number, pagesMax: number) => {
      const nearest = new NearestBudgets(9)
      async function* all() {
        for (let number = 0; number < pages; number += 1) yield page(number)
      }
      const complete = await nearest.addPages(all(), readKeysWith(set, NOW), pagesMax)
      return { complete, keys: nearest.list().map(({ key }) => key) }
    }
    const found = { complete: true, keys: ['Bever000:a2', 'Bever000:a1', 'Bever000:a0'] }
    expect(await look(3, 4)).toEqual(found)
    expect(await look(3, 3)).toEqual(found)
    expect(await look(4, 3)).toEqual({ ...found, complete: false })
  })

  it('count a limit of nothing as used up, and one that nobody knows as far away', () => {
    const nearest = new NearestBudgets(3)
    for (const one of [standing('a', 9, undefined), standing('b', 0, 0), standing('c', 12, 10)]) nearest.add(one)
    expect(nearest.list().map(({ key }) => key)).toEqual(['c', 'b', 'a'])
  })
})
