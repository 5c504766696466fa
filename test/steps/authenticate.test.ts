import { describe, expect, it } from 'vitest'
import type { Credential } from '../../src/domain/call.ts'
import type { TokenVerdict, TokenVerifier } from '../../src/ports.ts'
import { authenticate } from '../../src/steps/authenticate.ts'
import { ruleOf } from '../adapters/tokens/identity-provider.ts'
import { identity, policy } from '../domain/policy-fixtures.ts'
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

const rulesWith = (runHeader: boolean) => {
  const set = policy({ issuers: [ruleOf({ name: 'dev', runHeader })] })
  return { policy: () => set, prices: () => estimated().prices }
}
const rules = rulesWith(true)

describe('authenticate', () => {
  it('is as sure as the verifier', async () => {
    const { verifier, asked } = verifierOf({ kind: 'verified', identity: identity() })
    expect(await authenticate(callWith(token), { verifier, rules })).toEqual({
      kind: 'identified',
      identity: identity(),
    })
    expect(asked).toEqual(['abc'])
  })

  it.each([
    [{ kind: 'missing' }, 'unauthenticated', 'missing'],
    [{ kind: 'conflict' }, 'credentials_conflict', 'conflict'],
  ] as const)('refuses %j without asking', async (credential, code, reason) => {
    const { verifier, asked } = verifierOf({ kind: 'verified', identity: identity() })
    const refused = await authenticate(callWith(credential), { verifier, rules })
    expect(refused).toMatchObject({ kind: 'unidentified', issuer: undefined, refusal: { code, reason } })
    expect(asked).toEqual([])
  })

  it.each([
    ['expired', 'token_expired', /expired/],
    ['wrong_audience', 'unauthenticated', /audience/],
    ['not_accepted', 'unauthenticated', /^The token was not accepted\.$/],
  ] as const)('tells a caller whose token is %s no more than that, and the record why', async (said, code, message) => {
    const verdict = { kind: 'rejected', public: said, reason: 'a_secret_reason', issuer: 'corp' } as const
    const refused = await authenticate(callWith(token), { ...verifierOf(verdict), rules })
    if (refused.kind === 'identified') throw new Error('the token was accepted')
    expect(refused).toMatchObject({ issuer: 'corp', refusal: { code, reason: 'a_secret_reason' } })
    expect(refused.refusal.message).toMatch(message)
    expect(refused.refusal.message).not.toContain('secret')
  })

  describe('of a call that names its run', () => {
    const caller = identity({ tenant: 'acme', agent: 'bot', run: 'r1' })
    const named = (run: string, who = identity(), issuers = rules) => {
      const { verifier } = verifierOf({ kind: 'verified', identity: who })
      return authenticate({ ...callWith(token), run }, { verifier, rules: issuers })
    }

    it('knows the run', async () => {
      expect(await named('a/b')).toEqual({ kind: 'identified', identity: { ...identity(), namedRun: 'a/b' } })
      expect(await named('r1', caller, rulesWith(false))).toEqual({ kind: 'identified', identity: caller })
    })

    it.each([
      ['a b', identity(), rules, 'run_malformed'],
      ['', identity(), rules, 'run_malformed'],
      ['a', identity(), rulesWith(false), 'run_not_allowed'],
      ['r2', caller, rules, 'run_contradicts'],
    ])('refuses %j where it cannot be, naming the header and not the run', async (run, who, issuers, reason) => {
      const refused = await named(run, who, issuers)
      if (refused.kind === 'identified') throw new Error('the run was accepted')
      expect(refused).toMatchObject({
        issuer: 'dev',
        refusal: { code: 'invalid_request', field: 'x-tollgate-run', reason },
      })
      expect(refused.refusal.message).toMatch(/^The header x-tollgate-run (is|names) /)
    })

    it('believes the token first', async () => {
      const verdict = { kind: 'rejected', public: 'expired', reason: 'r', issuer: 'corp' } as const
      const { verifier } = verifierOf(verdict)
      const refused = await authenticate({ ...callWith(token), run: 'a b' }, { verifier, rules })
      expect(refused).toMatchObject({ refusal: { code: 'token_expired' } })
    })
  })
})
