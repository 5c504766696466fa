import { describe, expect, it } from 'vitest'
import type { Facts } from '../../src/domain/decision.ts'
import { limitHeaders } from '../../src/http/limit-headers.ts'
import { budget, limit } from '../domain/policy-fixtures.ts'
import { admitted, pace, purse } from '../steps/fixtures.ts'

const tokens = limit({
  name: 'tokens',
  id: 'Ltokens0',
  unit: 'tokens',
  shape: { kind: 'sliding', amount: 10_000, periodMs: 90_000 },
})
const places = limit({ name: 'places', id: 'Lplaces0', unit: 'concurrent', shape: { kind: 'concurrent', amount: 4 } })

const facts = async (rules: Parameters<typeof admitted>[0]): Promise<Facts> => (await admitted(rules)).facts

describe('the headers that tell a caller what it has left', () => {
  it('are OpenAI’s for a client of OpenAI', async () => {
    const headers = limitHeaders(await facts({ limits: [pace, tokens, places], budgets: [purse] }), 'openai')
    expect(headers).toEqual({
      'x-ratelimit-limit-requests': '20',
      'x-ratelimit-remaining-requests': '19',
      'x-ratelimit-reset-requests': '1s',
      'x-ratelimit-limit-tokens': '10000',
      'x-ratelimit-remaining-tokens': '9850',
      'x-ratelimit-reset-tokens': '1m30s',
      'ratelimit-policy': '"pace";q=20, "tokens";q=10000;qu="tokens", "places";q=4;qu="concurrent-requests"',
      ratelimit: '"pace";r=19;t=1, "tokens";r=9850;t=90, "places";r=3;t=0',
      'x-tollgate-budget': 'purse;used=14%',
    })
  })

  it('are Anthropic’s for a client of Anthropic, with instants instead of durations', async () => {
    const headers = limitHeaders(await facts({ limits: [pace, tokens], budgets: [] }), 'anthropic')
    expect(headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '20',
      'anthropic-ratelimit-requests-remaining': '19',
      'anthropic-ratelimit-requests-reset': '2026-11-20T10:00:01.000Z',
      'anthropic-ratelimit-tokens-limit': '10000',
      'anthropic-ratelimit-tokens-remaining': '9850',
      'anthropic-ratelimit-tokens-reset': '2026-11-20T10:01:30.000Z',
    })
    expect(Object.keys(headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
  })

  it('name the limit that will refuse first', async () => {
    const tight = limit({
      name: 'tight',
      id: 'Ltight00',
      shape: { kind: 'gcra', amount: 60, periodMs: 60_000, burst: 2 },
    })
    const small = budget({ name: 'small', id: 'Bsmall00', amount: 20_000_000_000 })
    const headers = limitHeaders(await facts({ limits: [pace, tight], budgets: [purse, small] }), 'openai')
    expect(headers).toMatchObject({ 'x-ratelimit-limit-requests': '2', 'x-tollgate-budget': 'small;used=70%' })
  })

  it('are none for a call of which no counter was read', async () => {
    const { states: _states, ...unread } = await facts({})
    expect(limitHeaders(unread, 'openai')).toEqual({})
    expect(limitHeaders(await facts({ limits: [], budgets: [] }), 'openai')).toEqual({})
  })
})
