import { describe, expect, it } from 'vitest'
import type { Decision, Facts } from '../../src/domain/decision.ts'
import { limitHeaders } from '../../src/http/limit-headers.ts'
import { reserve } from '../../src/steps/reserve.ts'
import { budget, limit, run } from '../domain/policy-fixtures.ts'
import { admitted, estimated, noRefinement, pace, purse, steps } from '../steps/fixtures.ts'

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
      'ratelimit-policy': '"pace";q=20;w=20, "tokens";q=10000;qu="tokens";w=90, "places";q=4;qu="concurrent-requests"',
      ratelimit: '"pace";r=19;t=1, "tokens";r=9850;t=90, "places";r=3',
      'x-tollgate-budget': 'purse;used=14%',
    })
  })

  it('are Anthropic’s for a client of Anthropic, with instants instead of durations', async () => {
    const headers = limitHeaders(await facts({ limits: [pace, tokens], budgets: [] }), 'anthropic')
    expect(headers).toMatchObject({
      'anthropic-ratelimit-requests-limit': '20',
      'anthropic-ratelimit-requests-remaining': '19',
      'anthropic-ratelimit-requests-reset': '2026-11-20T10:00:01Z',
      'anthropic-ratelimit-tokens-limit': '10000',
      'anthropic-ratelimit-tokens-remaining': '9850',
      'anthropic-ratelimit-tokens-reset': '2026-11-20T10:01:30Z',
    })
    expect(Object.keys(headers).filter((name) => name.startsWith('x-ratelimit'))).toEqual([])
  })

  it('tell Anthropic’s clients of input and output apart, and of the tighter one as of all', async () => {
    const sliding = (amount: number) => ({ kind: 'sliding', amount, periodMs: 60_000 }) as const
    const input = limit({ name: 'in', id: 'Linput00', unit: 'input_tokens', shape: sliding(1_000) })
    const output = limit({ name: 'out', id: 'Loutput0', unit: 'output_tokens', shape: sliding(100) })
    expect(limitHeaders(await facts({ limits: [input, output], budgets: [] }), 'anthropic')).toMatchObject({
      'anthropic-ratelimit-input-tokens-limit': '1000',
      'anthropic-ratelimit-input-tokens-remaining': '900',
      'anthropic-ratelimit-output-tokens-limit': '100',
      'anthropic-ratelimit-output-tokens-remaining': '50',
      'anthropic-ratelimit-tokens-limit': '100',
      'anthropic-ratelimit-tokens-remaining': '50',
    })
  })

  it('number the counters of one rule, and say of each over which time it is whole again', async () => {
    const rule = { name: 'pace', id: 'Lpace000' }
    const day = { kind: 'fixed', amount: 50, periodMs: 86_400_000 } as const
    const limits = [limit(rule), limit({ ...rule, id: 'Lpace001', shape: day })]
    const ever = budget({ name: 'ever', unit: 'tokens', amount: 5_000, period: 'lifetime' })
    const headers = limitHeaders(await facts({ limits, budgets: [ever] }), 'openai')
    expect(headers).toMatchObject({
      'ratelimit-policy': '"pace";q=20;w=20, "pace.2";q=50;w=86400, "ever";q=5000;qu="tokens"',
      ratelimit: '"pace";r=19;t=1, "pace.2";r=49;t=50400, "ever";r=3600',
    })
    expect(headers).not.toHaveProperty('x-ratelimit-reset-tokens')
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

  it('tell an agent what its run has left, so that its loop can end in time', async () => {
    const rules = { limits: [], budgets: [], runs: [run(), run({ unit: 'ms', amount: 60_000 })] }
    const identity = { ...estimated().identity, namedRun: 'a' }
    const headers = limitHeaders((await admitted(rules, { identity })).facts, 'openai')
    expect(headers).toEqual({
      'x-ratelimit-limit-requests': '7',
      'x-ratelimit-remaining-requests': '6',
      'ratelimit-policy': '"agent-run";q=7, "agent-run.2";q=60000;qu="milliseconds"',
      ratelimit: '"agent-run";r=6, "agent-run.2";r=60000',
      'x-tollgate-budget': 'agent-run;used=14%',
    })
  })

  describe('of a refused call', () => {
    async function refused(rules: Parameters<typeof admitted>[0], before: number): Promise<Decision> {
      const world = steps()
      for (let call = 0; call < before; call += 1) await admitted(rules, {}, world)
      return reserve(estimated(rules), noRefinement, world)
    }

    const headersOf = (decision: Decision) =>
      limitHeaders(decision.facts, 'openai', decision.kind === 'refused' ? decision.refusal : undefined)

    it('say what it found, since it has taken nothing, and advise no earlier retry than they say', async () => {
      const two = limit({ name: 'two', shape: { kind: 'gcra', amount: 60, periodMs: 60_000, burst: 2 } })
      const decision = await refused({ limits: [two, pace], budgets: [] }, 2)
      expect(decision).toMatchObject({ refusal: { code: 'rate_limited', retryAfterMs: 1_000 } })
      expect(headersOf(decision)).toEqual({
        'x-ratelimit-limit-requests': '2',
        'x-ratelimit-remaining-requests': '0',
        'x-ratelimit-reset-requests': '2s',
        'ratelimit-policy': '"two";q=2;w=2',
        ratelimit: '"two";r=0;t=1',
      })
    })

    it('name the budget that refused, not another that is short too', async () => {
      const money = budget({ name: 'money', id: 'Bmoney00', amount: 20_000_000_000 })
      const volume = budget({ name: 'volume', id: 'Bvolume0', unit: 'tokens', amount: 1_400, period: 'lifetime' })
      const decision = await refused({ limits: [], budgets: [volume, money] }, 1)
      expect(decision).toMatchObject({ refusal: { limit: { rule: 'money' }, also: ['volume'] } })
      expect(headersOf(decision)['x-tollgate-budget']).toBe('money;used=70%')
    })

    it('say that nothing is left of a budget of nothing', async () => {
      const none = budget({ name: 'none', amount: 0 })
      expect(headersOf(await refused({ limits: [], budgets: [purse, none] }, 0))['x-tollgate-budget']).toBe(
        'none;used=100%',
      )
    })

    it('give back what was reserved for it, when it failed only later', async () => {
      const { refusal } = await refused({ limits: [], budgets: [budget({ amount: 0 })] }, 0).then((decision) => {
        if (decision.kind !== 'refused') throw new Error('it was admitted')
        return decision
      })
      const after = limitHeaders(await facts({}), 'openai', refusal)
      expect(after).toMatchObject({ 'x-ratelimit-remaining-requests': '20', 'x-tollgate-budget': 'purse;used=0%' })
    })
  })

  it('are none for a call of which no counter was read', async () => {
    const { states: _states, ...unread } = await facts({})
    expect(limitHeaders(unread, 'openai')).toEqual({})
    expect(limitHeaders(await facts({ limits: [], budgets: [] }), 'openai')).toEqual({})
  })
})
