import { describe, expect, it } from 'vitest'

import { openaiChat } from '../../src/dialects/openai-chat.ts'
import { refuse } from '../../src/domain/refusal.ts'
import type { RefusalLimit } from '../../src/domain/refusal.ts'

describe('refusals', () => {
  const context = { requestId: 'r-1', receipt: undefined, retryCount: 0, isClaudeCode: false }
  const limit: RefusalLimit = {
    rule: 'team-month',
    dimension: 'team',
    subject: 'research',
    unit: 'usd',
    limit: '25.000000000',
    used: '24.9',
    held: '0.05',
    needed: '0.2',
    resetsAt: '2027-01-01T00:00:00Z',
  }

  it('say that a budget is gone so that every client stops, with the facts beside it', () => {
    const refusal = refuse('budget_exhausted', 'The monthly budget of team research is used up.', { limit })
    const answer = openaiChat.renderRefusal(refusal, { ...context, receipt: 'jws' })
    expect(answer.status).toBe(429)
    expect(answer.headers).toEqual({
      'content-type': 'application/json',
      'x-request-id': 'r-1',
      'request-id': 'r-1',
      'x-should-retry': 'false',
      'tollgate-receipt': 'jws',
    })
    expect(JSON.parse(answer.body)).toEqual({
      error: {
        message: 'The monthly budget of team research is used up. (insufficient_quota)',
        type: 'insufficient_quota',
        param: null,
        code: 'insufficient_quota',
        rule: 'team-month',
        dimension: 'team',
        subject: 'research',
        limit: '25.000000000',
        used: '24.9',
        held: '0.05',
        needed: '0.2',
        unit: 'usd',
        resets_at: '2027-01-01T00:00:00Z',
        decision_id: 'r-1',
      },
    })
  })

  it.each([
    [1, { 'retry-after-ms': '1', 'retry-after': '1' }],
    [1500, { 'retry-after-ms': '1500', 'retry-after': '2' }],
    [60_000, { 'retry-after-ms': '60000', 'retry-after': '60' }],
    [60_001, { 'x-should-retry': 'false' }],
    [undefined, { 'x-should-retry': 'false' }],
  ])('of a rate advise a wait of %s ms', (retryAfterMs, expected) => {
    const refusal = refuse('rate_limited', 'Too many.', { retryAfterMs, limit: { ...limit, unit: 'input_tokens' } })
    const { headers, body } = openaiChat.renderRefusal(refusal, context)
    const advice = Object.entries(headers).filter(([name]) => /retry/.test(name))
    expect(Object.fromEntries(advice)).toEqual(expected)
    expect(JSON.parse(body).error).toMatchObject({ type: 'tokens', code: 'rate_limit_exceeded' })
  })

  it.each([
    [0, false, 'true'],
    [1, false, 'false'],
    [0, true, 'false'],
  ])('of an expired token: retry %s, Claude Code %s -> %s', (retryCount, isClaudeCode, expected) => {
    const refusal = refuse('token_expired', 'The token has expired.')
    const { status, headers } = openaiChat.renderRefusal(refusal, { ...context, retryCount, isClaudeCode })
    expect(status).toBe(401)
    expect(headers).toMatchObject({ 'x-should-retry': expected, 'www-authenticate': 'Bearer error="invalid_token"' })
  })

  it('name the model, and the field at fault', () => {
    const paramOf = (refusal: ReturnType<typeof refuse>) =>
      JSON.parse(openaiChat.renderRefusal(refusal, context).body).error.param
    expect(paramOf(refuse('model_not_found', 'x'))).toBe('model')
    expect(paramOf(refuse('invalid_request', 'x', { field: 'messages[0].role' }))).toBe('messages[0].role')
  })

  it('as a frame are one event', () => {
    const frame = openaiChat.errorFrame(refuse('upstream_unavailable', 'broken'), 'r-1')
    expect(frame).toMatch(/^\n\ndata: \{"error":\{"message":"broken".*\}\}\n\n$/)
  })
})
