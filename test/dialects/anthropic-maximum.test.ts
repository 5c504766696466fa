import { describe, expect, it } from 'vitest'
import { anthropicMessages } from '../../src/dialects/anthropic-messages.ts'
import { parsed } from './fixture.ts'

const base = { model: 'm', max_tokens: 4_000, messages: [{ role: 'user', content: 'hi' }] }

describe('the maximum of an answer', () => {
  it('says below which one its thinking would be refused', () => {
    const least = (given: object) => parsed(anthropicMessages, { ...base, ...given }).outputTokensLeast
    expect(least({})).toBeUndefined()
    expect(least({ thinking: { type: 'disabled' } })).toBeUndefined()
    expect(least({ thinking: { type: 'adaptive' } })).toBeUndefined()
    expect(least({ thinking: { type: 'enabled', budget_tokens: 2_048 } })).toBe(2_049)
    expect(least({ thinking: { type: 'enabled', budget_tokens: 9_000 } })).toBe(9_001)
  })

  it('is lowered where it stands', () => {
    const body = '{"model":"m", "max_tokens" : 4000, "messages":[{"role":"user","content":"max_tokens"}]}'
    const ask = { ...parsed(anthropicMessages, JSON.parse(body)), body: Buffer.from(body) }
    const sent = anthropicMessages.forward(ask, { model: 'm', outputTokensMax: 300, includeUsage: true })
    expect(Buffer.from(sent).toString()).toBe(body.replace('4000', '300'))
  })
})
