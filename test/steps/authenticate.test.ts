import { describe, expect, it } from 'vitest'
import type { Credential } from '../../src/domain/call.ts'
import type { TokenVerdict, TokenVerifier } from '../../src/ports.ts'
import { authenticate } from '../../src/steps/authenticate.ts'
import { identity } from '../domain/policy-fixtures.ts'
import { estimated } from './fixtures.ts'

/** Says always the same, and counts how often it was asked. */
function verifierOf(verdict: TokenVerdict) {
  const asked: string[] = []
  const verifier: TokenVerifier = {
    async verify(token) {
      asked.push(token)
      return verdict
    },
    builtinKeys: () => ({ keys: [] }),
    [Symbol.asyncDispose]: async () => undefined,
  }
  return { verifier, asked }
}

const callWith = (credential: Credential) => ({ ...estimated().call, credential })
const token = { kind: 'token', token: 'abc' } as const

describe('authenticate', () => {
  it('is as sure as the verifier', async () => {
    const { verifier, asked } = verifierOf({ kind: 'verified', identity: identity() })
    expect(await authenticate(callWith(token), { verifier })).toEqual({ kind: 'identified', identity: identity() })
    expect(asked).toEqual(['abc'])
  })

  it.each([
    [{ kind: 'missing' }, 'unauthenticated', 'missing'],
    [{ kind: 'conflict' }, 'credentials_conflict', 'conflict'],
  ] as const)('refuses %j without asking', async (credential, code, reason) => {
    const { verifier, asked } = verifierOf({ kind: 'verified', identity: identity() })
    const refused = await authenticate(callWith(credential), { verifier })
    expect(refused).toMatchObject({ kind: 'unidentified', issuer: undefined, refusal: { code, reason } })
    expect(asked).toEqual([])
  })

  it.each([
    ['expired', 'token_expired', /expired/],
    ['wrong_audience', 'unauthenticated', /audience/],
    ['not_accepted', 'unauthenticated', /^The token was not accepted\.$/],
  ] as const)('tells a caller whose token is %s no more than that, and the record why', async (said, code, message) => {
    const verdict = { kind: 'rejected', public: said, reason: 'a_secret_reason', issuer: 'corp' } as const
    const refused = await authenticate(callWith(token), verifierOf(verdict))
    if (refused.kind === 'identified') throw new Error('the token was accepted')
    expect(refused).toMatchObject({ issuer: 'corp', refusal: { code, reason: 'a_secret_reason' } })
    expect(refused.refusal.message).toMatch(message)
    expect(refused.refusal.message).not.toContain('secret')
  })
})
