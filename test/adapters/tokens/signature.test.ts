/** The second line: jose itself is told the algorithms, the issuer and the audience, whoever checked them before. */
import { describe, expect, it } from 'vitest'
import { parseKeySet } from '../../../src/adapters/tokens/key-set.ts'
import { verifySignature } from '../../../src/adapters/tokens/signature.ts'
import type { IssuerRule } from '../../../src/domain/policy/policy.ts'
import { jwks, makeKey, NOW_MS, ruleOf, signToken } from './identity-provider.ts'

const key = makeKey('ES256', 'k1')
const keys = parseKeySet(jwks(key))

const verify = (token: string, rule: Partial<IssuerRule> = {}) =>
  verifySignature({ token, rule: ruleOf(rule), keys, keyId: 'k1', nowMs: NOW_MS })

describe('the signature check alone', () => {
  it('accepts a good token', async () => {
    expect(await verify(signToken(key))).toMatchObject({ kind: 'good', payload: { sub: 'ada' } })
  })

  it('refuses an algorithm that the rule does not list', async () => {
    const fault = { kind: 'fault', reason: 'alg_not_allowed' }
    expect(await verify(signToken(key), { algorithms: ['RS256'] })).toEqual(fault)
    expect(await verify(signToken(key), { algorithms: [] })).toEqual(fault)
  })

  it('refuses another issuer and another audience', async () => {
    expect(await verify(signToken(key, { iss: 'https://other' }))).toEqual({ kind: 'fault', reason: 'unknown_issuer' })
    expect(await verify(signToken(key, { aud: 'other' }))).toEqual({ kind: 'fault', reason: 'wrong_audience' })
  })
})
