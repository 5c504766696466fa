import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { openBuiltinIssuer } from '../../src/adapters/tokens/builtin-issuer.ts'
import { createTokenVerifier } from '../../src/adapters/tokens/verifier.ts'
import { BUILTIN_AUDIENCE, BUILTIN_CLAIM_MAP, BUILTIN_ISSUER_URL } from '../../src/domain/claims.ts'
import type { IssuerRule } from '../../src/domain/policy/policy.ts'
import { FixedClock, jwks, makeKey, NOW_S, ruleOf, signToken } from '../adapters/tokens/identity-provider.ts'
import { describeTokenVerifier } from './token-verifier.ts'
import type { VerifierUnderTest } from './token-verifier.ts'

const fetchDocument = () => Promise.reject(new Error('no key set is read by URL here'))

function underTest(
  parts: Omit<VerifierUnderTest, 'advance' | typeof Symbol.asyncDispose>,
  clock: FixedClock,
  dir: string,
) {
  return {
    ...parts,
    advance: (ms: number) => clock.advance(ms),
    async [Symbol.asyncDispose]() {
      await parts.verifier[Symbol.asyncDispose]()
      await rm(dir, { recursive: true })
    },
  }
}

describeTokenVerifier('the verifier with the built-in issuer', async () => {
  const clock = new FixedClock()
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-issuer-'))
  const builtin = await openBuiltinIssuer({ dir, clock })
  const rule: IssuerRule = ruleOf({
    name: 'dev',
    issuer: BUILTIN_ISSUER_URL,
    keys: { kind: 'builtin' },
    audiences: [BUILTIN_AUDIENCE],
    algorithms: ['EdDSA'],
    requireTokenId: true,
    runHeader: false,
    map: BUILTIN_CLAIM_MAP,
  })
  const rules = [rule]
  const verifier = createTokenVerifier({ issuers: () => rules, clock, builtin, fetchDocument })
  const issue: VerifierUnderTest['issue'] = ({ seconds = 600, audience = BUILTIN_AUDIENCE } = {}) =>
    builtin.issue({ user: 'ada', roles: ['dev'], ttlSeconds: seconds, audience })
  return underTest({ verifier, issue, issuerName: 'dev' }, clock, dir)
})

describeTokenVerifier('the verifier with a key set in a file', async () => {
  const clock = new FixedClock()
  const dir = await mkdtemp(join(tmpdir(), 'tollgate-keys-'))
  const path = join(dir, 'jwks.json')
  const key = makeKey('ES256', 'k1')
  await writeFile(path, jwks(key))
  const rules = [ruleOf({ keys: { kind: 'file', path }, map: BUILTIN_CLAIM_MAP })]
  const verifier = createTokenVerifier({ issuers: () => rules, clock, fetchDocument })
  const issue: VerifierUnderTest['issue'] = async ({ seconds = 600, audience = 'llm-gateway' } = {}) => {
    const iat = Math.floor(clock.nowMs() / 1_000)
    return signToken(key, { aud: audience, roles: ['dev'], iat, exp: iat + seconds, jti: `${NOW_S}` })
  }
  return underTest({ verifier, issue, issuerName: 'agents' }, clock, dir)
})
