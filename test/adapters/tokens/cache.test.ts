import { beforeEach, describe, expect, it } from 'vitest'
import { CACHE_ENTRIES_MAX, VerdictCache } from '../../../src/adapters/tokens/cache.ts'
import type { CachedVerdict } from '../../../src/adapters/tokens/cache.ts'
import { parseKeySet } from '../../../src/adapters/tokens/key-set.ts'
import { rejected } from '../../../src/adapters/tokens/reasons.ts'
import { createTokenVerifier } from '../../../src/adapters/tokens/verifier.ts'
import { FixedClock, jwks, makeKey, NOW_S, outcome, ruleOf, signToken } from './identity-provider.ts'

const key = makeKey('EdDSA', 'k1')

describe('verified tokens', () => {
  let clock: FixedClock
  let rules = [ruleOf()]
  let verifier: ReturnType<typeof createTokenVerifier>

  beforeEach(() => {
    clock = new FixedClock()
    rules = [ruleOf()]
    verifier = createTokenVerifier({ issuers: () => rules, clock, fetchDocument: async () => jwks(key) })
  })

  /** Whether two looks gave one and the same identity, that is, whether the second one came from the cache. */
  const isHit = async (token: string, between: () => void = () => {}) => {
    const before = await verifier.verify(token)
    between()
    return before === (await verifier.verify(token))
  }

  it('are answered from the cache for 60 seconds', async () => {
    expect(await isHit(signToken(key))).toBe(true)
    expect(await isHit(signToken(key, { jti: 'a' }), () => clock.advance(59_999))).toBe(true)
    expect(await isHit(signToken(key, { jti: 'b' }), () => clock.advance(60_000))).toBe(false)
  })

  it('never past their expiry', async () => {
    const token = signToken(key, { exp: NOW_S + 10 })
    expect(await isHit(token, () => clock.advance(9_999))).toBe(true)
    clock.advance(1)
    expect(await isHit(token)).toBe(false)
    clock.advance(30_000)
    expect(await outcome(verifier.verify(token))).toBe('expired')
  })

  it('are kept by their exact text: another spelling is verified by itself', async () => {
    const token = signToken(key)
    await verifier.verify(token)
    expect(verifier.cached()).toBe(1)
    const last = token.at(-1) ?? ''
    const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'
    // The last character carries four bits that nothing reads.
    const twin = `${token.slice(0, -1)}${alphabet[alphabet.indexOf(last) ^ 1]}`
    expect(await outcome(verifier.verify(twin))).toBe('verified')
    expect(verifier.cached()).toBe(2)
  })

  it('refusals are not kept', async () => {
    await verifier.verify(signToken(key, { aud: 'other' }))
    await verifier.verify('nonsense')
    await verifier.verify(signToken(makeKey('EdDSA', 'k1')))
    expect(verifier.cached()).toBe(0)
  })

  it('a change of the issuers forgets every verdict, and the new rule decides', async () => {
    const token = signToken(key)
    expect(await outcome(verifier.verify(token))).toBe('verified')
    rules = [ruleOf({ audiences: ['other'] })]
    expect(await outcome(verifier.verify(token))).toBe('wrong_audience')
    rules = [ruleOf({ name: 'renamed' })]
    expect(await verifier.verify(token)).toMatchObject({ identity: { issuer: 'renamed' } })
    rules = []
    expect(await outcome(verifier.verify(token))).toBe('unknown_issuer')
  })

  it('a verdict under a policy that ended meanwhile is not kept', async () => {
    const token = signToken(key)
    const pending = verifier.verify(token)
    rules = [ruleOf({ audiences: ['other'] })]
    await verifier.verify('the first look under the new policy')
    await pending
    expect(verifier.cached()).toBe(0)
    expect(await outcome(verifier.verify(token))).toBe('wrong_audience')
  })
})

describe('the cache', () => {
  const keys = parseKeySet(jwks(key))
  const verdict = Promise.resolve(rejected('expired'))
  const entry = (): CachedVerdict => ({
    verdict,
    untilMs: 1_000,
    keys,
    voucher: { inForce: keys, refreshWhenDue: () => {} },
  })

  it(`holds ${CACHE_ENTRIES_MAX} entries and lets go of the one that was used least lately`, () => {
    const cache = new VerdictCache()
    for (let index = 0; index < CACHE_ENTRIES_MAX; index += 1) cache.put(`${index}`, entry())
    expect(cache.get('0', 0)).toBe(verdict)
    cache.put('one more', entry())
    expect(cache.size).toBe(CACHE_ENTRIES_MAX)
    expect(cache.get('1', 0)).toBeUndefined()
    expect(cache.get('0', 0)).toBe(verdict)
    expect(cache.get('one more', 0)).toBe(verdict)
  })

  it('an entry whose keys are no longer in force is dropped', () => {
    const cache = new VerdictCache()
    const voucher = { inForce: keys, refreshWhenDue: () => {} }
    cache.put('a', { ...entry(), voucher })
    expect(cache.get('a', 0)).toBe(verdict)
    voucher.inForce = parseKeySet(jwks(key))
    expect(cache.get('a', 0)).toBeUndefined()
    expect(cache.size).toBe(0)
  })
})
