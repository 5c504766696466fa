/** Each attack and each fault of the verification table is one test: real keys, real signatures. */
import { describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../../../src/adapters/tokens/verifier.ts'
import type { IssuerRule } from '../../../src/domain/policy/policy.ts'
import {
  AUDIENCE,
  base64url,
  FixedClock,
  headerOf,
  ISSUER,
  jwks,
  makeKey,
  NOW_S,
  outcome,
  payloadOf,
  publicPem,
  ruleOf,
  signTexts,
  signToken,
  signWithHmac,
} from './identity-provider.ts'

const rsa = makeKey('RS256', 'rsa-1')
const ec = makeKey('ES256', 'ec-1')
const ed = makeKey('EdDSA', 'ed-1')
const stranger = makeKey('ES256', 'ec-1')

/** A verifier whose issuer publishes `document`, by a clock that stands still. */
function verifierOf(document = jwks(rsa, ec, ed), rule: Partial<IssuerRule> = {}) {
  const rules = [ruleOf(rule)]
  return createTokenVerifier({ issuers: () => rules, clock: new FixedClock(), fetchDocument: async () => document })
}

const verify = (token: string, rule: Partial<IssuerRule> = {}) => verifierOf(undefined, rule).verify(token)
const reason = (token: string, rule: Partial<IssuerRule> = {}) => outcome(verify(token, rule))

describe('a good token', () => {
  it.each([
    ['RS256', rsa],
    ['ES256', ec],
    ['EdDSA', ed],
  ])('signed with %s is accepted', async (_, key) => {
    expect(await reason(signToken(key))).toBe('verified')
  })

  it('gives its subject, token id, key id and expiry to the identity', async () => {
    expect(await verify(signToken(ec, { jti: 'j-1', act: { sub: 'bot' } }))).toEqual({
      kind: 'verified',
      identity: {
        single: { user: 'ada', issuer: 'agents' },
        list: { role: [], group: [] },
        issuer: 'agents',
        subject: 'ada',
        tokenId: 'j-1',
        keyId: 'ec-1',
        expiresAtMs: (NOW_S + 600) * 1_000,
        actors: ['bot'],
      },
    })
  })

  it('may start its payload with a byte-order mark', async () => {
    const token = signTexts(ec, JSON.stringify(headerOf(ec)), `\uFEFF${JSON.stringify(payloadOf())}`)
    expect(await reason(token)).toBe('verified')
  })
})

describe('algorithms', () => {
  it.each(['none', 'None', 'NONE', 'nOnE'])('alg %s is refused, signed by nobody', async (alg) => {
    const unsigned = `${base64url(JSON.stringify({ alg, typ: 'at+jwt' }))}.${base64url(JSON.stringify(payloadOf()))}.`
    expect(await verify(unsigned)).toEqual({
      kind: 'rejected',
      public: 'not_accepted',
      reason: 'alg_not_allowed',
      issuer: 'agents',
    })
  })

  it('HS256 with the published key as its secret is refused, in every form the key is published in', async () => {
    const header = { alg: 'HS256', typ: 'at+jwt', kid: rsa.kid }
    for (const secret of [publicPem(rsa), JSON.stringify(rsa.publicJwk), String(rsa.publicJwk['n'])]) {
      expect(await reason(signWithHmac(secret, header, payloadOf()))).toBe('alg_not_allowed')
    }
  })

  it('HS256 and none stay refused when a rule lists them', async () => {
    const algorithms = ['HS256', 'none', 'RS256']
    const token = signWithHmac(publicPem(rsa), { alg: 'HS256', typ: 'at+jwt', kid: rsa.kid }, payloadOf())
    expect(await reason(token, { algorithms })).toBe('alg_not_allowed')
  })

  it('an algorithm that the issuer does not sign with is refused, although its key is published', async () => {
    expect(await reason(signToken(ec), { algorithms: ['RS256'] })).toBe('alg_not_allowed')
    expect(await reason(signToken(ec), { algorithms: [] })).toBe('alg_not_allowed')
  })

  it('a header that names another algorithm than the key has is refused', async () => {
    expect(await reason(signToken(rsa, {}, { alg: 'ES256' }))).toBe('unknown_kid')
    expect(await reason(signToken(rsa, {}, { alg: 'PS256' }), { algorithms: ['PS256'] })).toBe('bad_signature')
  })

  it.each([[undefined], [7], [null], ['']])('alg %j is refused', async (alg) => {
    expect(await reason(signToken(ec, {}, { alg }))).toBe('alg_not_allowed')
  })
})

describe('keys', () => {
  it('a signature by another key under a known key id is refused', async () => {
    expect(await reason(signToken(stranger))).toBe('bad_signature')
  })

  it.each(['nobody', '../../etc/passwd', "' or 1=1 --", 'ec-1 '])('the unknown key id %j is refused', async (kid) => {
    expect(await reason(signToken(ec, {}, { kid }))).toBe('unknown_kid')
  })

  it.each([[7], [null], [['ec-1']], [''], ['k'.repeat(129)]])('the key id %j is refused unseen', async (kid) => {
    expect(await reason(signToken(ec, {}, { kid }))).toBe('kid_malformed')
  })

  it('a key that the token brings along is refused, whether or not the signature is good', async () => {
    for (const key of [stranger, ec]) {
      expect(await reason(signToken(key, {}, { jwk: key.publicJwk }))).toBe('header_carries_key')
    }
  })

  it.each(['jku', 'x5u', 'x5c'])('a place to fetch a key from (%s) is refused', async (name) => {
    expect(await reason(signToken(ec, {}, { [name]: 'https://evil.example/jwks' }))).toBe('header_carries_key')
  })

  it('an unknown critical header parameter is refused', async () => {
    expect(await reason(signToken(ec, {}, { crit: ['exp'], exp: 1 }))).toBe('crit_not_supported')
    expect(await reason(signToken(ec, {}, { crit: ['b64'], b64: false }))).not.toBe('verified')
  })

  it('without a key id the only fitting key is used, and with two fitting keys none is', async () => {
    const unnamed = signToken({ ...ec, kid: undefined })
    expect(await outcome(verifierOf(jwks(ec, rsa, ed)).verify(unnamed))).toBe('verified')
    expect(await outcome(verifierOf(jwks(ec, makeKey('ES256', 'ec-2'))).verify(unnamed))).toBe('kid_missing')
  })

  it('of keys with one key id each is tried, but not more than four', async () => {
    const others = () => makeKey('ES256', 'ec-1')
    const third = jwks(others(), others(), others(), ec)
    expect(await outcome(verifierOf(third).verify(signToken(ec)))).toBe('verified')
    const fifth = jwks(others(), others(), others(), others(), ec)
    expect(await outcome(verifierOf(fifth).verify(signToken(ec)))).toBe('bad_signature')
    expect(await outcome(verifierOf(third).verify(signToken(ec, { aud: 'other' })))).toBe('wrong_audience')
  })

  it('a SPIFFE key (use: jwt-svid) verifies', async () => {
    const document = jwks({ ...ec.publicJwk, use: 'jwt-svid' })
    expect(await outcome(verifierOf(document).verify(signToken(ec)))).toBe('verified')
  })

  it('a key for encryption does not verify', async () => {
    const document = jwks({ ...ec.publicJwk, use: 'enc' })
    expect(await outcome(verifierOf(document).verify(signToken(ec)))).toBe('unknown_kid')
  })

  it('a symmetric or private key in the set never verifies, and the keys beside it still do', async () => {
    const oct = { kty: 'oct', kid: 'oct-1', k: base64url('secret'), alg: 'HS256' }
    const leaked = { ...ed.privateKey.export({ format: 'jwk' }), kid: 'ed-1' }
    const problems: string[] = []
    const rules = [ruleOf()]
    const verifier = createTokenVerifier({
      issuers: () => rules,
      clock: new FixedClock(),
      fetchDocument: async () => jwks(oct, leaked, ec),
      report: (issuer, problem) => problems.push(`${issuer}: ${problem}`),
    })
    expect(await outcome(verifier.verify(signToken(ec)))).toBe('verified')
    expect(await outcome(verifier.verify(signToken(ed)))).toBe('unknown_kid')
    const hmac = signWithHmac('secret', { alg: 'HS256', typ: 'at+jwt', kid: 'oct-1' }, payloadOf())
    expect(await outcome(verifier.verify(hmac))).toBe('alg_not_allowed')
    expect(problems).toEqual([
      expect.stringMatching(/^agents: keys\[0\]: a private or symmetric key is published/),
      expect.stringMatching(/^agents: keys\[1\]: a private or symmetric key is published/),
    ])
    expect(JSON.stringify(problems)).not.toContain(leaked.d)
  })
})

describe('issuers', () => {
  const other = ruleOf({
    name: 'people',
    issuer: 'https://idp.example/people',
    keys: { kind: 'url', url: 'https://p' },
  })

  it('an issuer that no rule names is refused', async () => {
    for (const iss of [
      'https://evil.example',
      `${ISSUER}/`,
      ISSUER.toUpperCase(),
      ` ${ISSUER}`,
      [ISSUER],
      undefined,
      7,
    ]) {
      expect(await verify(signToken(ec, { iss }))).toMatchObject({ reason: 'unknown_issuer', issuer: undefined })
    }
  })

  it('one issuer cannot sign for another, also under the same key id', async () => {
    const rules = [ruleOf(), other]
    const verifier = createTokenVerifier({
      issuers: () => rules,
      clock: new FixedClock(),
      fetchDocument: async (url) => (url === 'https://p' ? jwks(stranger) : jwks(ec)),
    })
    expect(await outcome(verifier.verify(signToken(ec)))).toBe('verified')
    expect(await outcome(verifier.verify(signToken(stranger)))).toBe('bad_signature')
    expect(await outcome(verifier.verify(signToken(ec, { iss: other.issuer })))).toBe('bad_signature')
    expect(await verifier.verify(signToken(stranger, { iss: other.issuer }))).toMatchObject({
      identity: { issuer: 'people', single: { issuer: 'people' } },
    })
  })

  it('two rules that claim one issuer accept nothing: either could speak for the other', async () => {
    const rules = [ruleOf(), { ...other, issuer: ISSUER }]
    const fetchDocument = async () => jwks(ec)
    const verifier = createTokenVerifier({ issuers: () => rules, clock: new FixedClock(), fetchDocument })
    expect(await outcome(verifier.verify(signToken(ec)))).toBe('ambiguous_issuer')
  })

  it('the built-in issuer without keys accepts nothing', async () => {
    expect(await reason(signToken(ed), { keys: { kind: 'builtin' } })).toBe('unknown_kid')
  })
})

describe('types', () => {
  it.each(['at+jwt', 'AT+JWT', 'application/at+jwt', 'Application/AT+JWT', 'JWT'])('typ %s fits', async (typ) => {
    expect(await reason(signToken(ec, {}, { typ }))).toBe('verified')
  })

  it.each([['id+jwt'], [7], [null], ['none'], ['application/application/at+jwt']])('typ %j is refused', async (typ) => {
    expect(await reason(signToken(ec, {}, { typ }), { types: ['at+jwt', 'none'] })).toBe('type_not_allowed')
  })

  it('an absent type is accepted only where the rule says so', async () => {
    const token = signToken(ec, {}, { typ: undefined })
    expect(await reason(token)).toBe('type_not_allowed')
    expect(await reason(token, { types: ['none'] })).toBe('verified')
  })

  it.each(['oauth-id-jag+jwt', 'txntoken+jwt', 'dpop+jwt', 'logout+jwt'])(
    'the look-alike %s is refused, whatever the rule lists',
    async (typ) => {
      expect(await reason(signToken(ec, {}, { typ }), { types: [typ, 'at+jwt'] })).toBe('type_not_allowed')
    },
  )

  it('an ID token without a type is told by its claims', async () => {
    for (const claims of [{ nonce: 'n' }, { at_hash: 'h' }]) {
      expect(await reason(signToken(ec, claims, { typ: undefined }), { types: ['none'] })).toBe('id_token')
    }
  })
})

describe('audiences', () => {
  it('another audience is refused, and the caller is told', async () => {
    for (const aud of ['other', `${AUDIENCE}/`, AUDIENCE.toUpperCase(), ['a', 'b'], [], '']) {
      expect(await verify(signToken(ec, { aud }))).toMatchObject({ public: 'wrong_audience', reason: 'wrong_audience' })
    }
  })

  it('a rule without audiences accepts nothing', async () => {
    expect(await reason(signToken(ec), { audiences: [] })).toBe('wrong_audience')
  })

  it('ours among others is accepted, up to ten of them', async () => {
    const others = (count: number) => Array.from({ length: count }, (_, index) => `service-${index}`)
    expect(await reason(signToken(ec, { aud: [AUDIENCE, ...others(9)] }))).toBe('verified')
    expect(await reason(signToken(ec, { aud: [AUDIENCE, ...others(10)] }))).toBe('too_many_audiences')
  })

  it('an audience that is not text is refused', async () => {
    expect(await reason(signToken(ec, { aud: [AUDIENCE, 7] }))).toBe('audience_malformed')
    expect(await reason(signToken(ec, { aud: { [AUDIENCE]: true } }))).toBe('wrong_audience')
  })
})

describe('times', () => {
  it('an expired token is refused, and the caller is told', async () => {
    const token = signToken(ec, { iat: NOW_S - 700, exp: NOW_S - 31 })
    expect(await verify(token)).toEqual({ kind: 'rejected', public: 'expired', reason: 'expired', issuer: 'agents' })
  })

  it('clocks may differ by 30 seconds, and not by more', async () => {
    const at = (more: Record<string, unknown>) => reason(signToken(ec, { iat: NOW_S - 100, ...more }))
    expect(await at({ exp: NOW_S - 29 })).toBe('verified')
    expect(await at({ exp: NOW_S - 30 })).toBe('expired')
    expect(await at({ nbf: NOW_S + 30 })).toBe('verified')
    expect(await at({ nbf: NOW_S + 31 })).toBe('not_yet_valid')
    expect(await at({ iat: NOW_S + 30 })).toBe('verified')
    expect(await at({ iat: NOW_S + 31 })).toBe('issued_in_future')
  })

  it('an expired token with a bad signature is just not accepted', async () => {
    expect(await verify(signToken(stranger, { exp: NOW_S - 100, iat: NOW_S - 200 }))).toMatchObject({
      public: 'not_accepted',
      reason: 'bad_signature',
    })
  })

  it('a life beyond the maximum is refused', async () => {
    const lifetimeMaxMs = 3_600_000
    expect(await reason(signToken(ec, { exp: NOW_S + 3_600 }), { lifetimeMaxMs })).toBe('verified')
    expect(await reason(signToken(ec, { exp: NOW_S + 3_601 }), { lifetimeMaxMs })).toBe('lifetime_too_long')
  })

  it.each([
    ['exp 1e308', '"exp":1e308', 'time_malformed'],
    ['exp with a fraction', `"exp":${NOW_S + 60}.5`, 'time_malformed'],
    ['exp as a string', `"exp":"${NOW_S + 60}"`, 'time_malformed'],
    ['exp null', '"exp":null', 'time_malformed'],
    ['exp before iat', `"exp":${NOW_S}`, 'time_malformed'],
    ['exp beyond 2^53', '"exp":9007199254740993', 'time_malformed'],
  ])('%s is refused', async (_, member, expected) => {
    const text = `{"iss":"${ISSUER}","aud":"${AUDIENCE}","sub":"ada","iat":${NOW_S},${member}}`
    expect(await reason(signTexts(ec, JSON.stringify(headerOf(ec)), text))).toBe(expected)
  })

  it.each([['1'], [1.5], [-1], [null], [1e300]])('iat %j is refused', async (iat) => {
    expect(await reason(signToken(ec, { iat }))).toBe('time_malformed')
  })

  it.each([['1'], [1.5], [null]])('nbf %j is refused', async (nbf) => {
    expect(await reason(signToken(ec, { nbf }))).toBe('time_malformed')
  })
})

describe('claims', () => {
  it.each(['aud', 'exp', 'iat', 'sub'])('a token without %s is refused', async (name) => {
    expect(await reason(signToken(ec, { [name]: undefined }))).toBe('missing_claim')
  })

  it('a token without a token id is refused where the rule asks for one', async () => {
    expect(await reason(signToken(ec), { requireTokenId: true })).toBe('missing_claim')
    expect(await reason(signToken(ec, { jti: 'j' }), { requireTokenId: true })).toBe('verified')
  })

  it.each([[''], [{}], [7], [null], ['x'.repeat(257)], ['a\u202Eb']])('the subject %j is refused', async (sub) => {
    expect(await reason(signToken(ec, { sub }), { map: {} })).toBe('claim_sub_malformed')
  })

  it.each([[''], [7], [null], ['x'.repeat(257)]])('the token id %j is refused', async (jti) => {
    expect(await reason(signToken(ec, { jti }))).toBe('claim_jti_malformed')
  })

  it('a claim that cannot be mapped is named in the reason, by its dimension', async () => {
    const map: IssuerRule['map'] = { role: { from: { kind: 'claim', name: 'roles' }, prefix: '', default: undefined } }
    expect(await reason(signToken(ec, { roles: 7 }), { map })).toBe('claim_role_malformed')
    expect(await reason(signToken(ec, { act: 'bot' }))).toBe('claim_act_malformed')
  })

  it('an own __proto__ claim gives nothing away', async () => {
    const text = JSON.stringify(payloadOf()).replace('{', '{"__proto__":{"admin":true,"sub":"root"},')
    const verdict = await verify(signTexts(ec, JSON.stringify(headerOf(ec)), text))
    expect(verdict).toMatchObject({ kind: 'verified', identity: { subject: 'ada', single: { user: 'ada' } } })
    expect(JSON.stringify(verdict)).not.toContain('admin')
  })
})
