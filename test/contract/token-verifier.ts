/** What every implementation of the port `TokenVerifier` owes, whatever verifies underneath. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { TokenVerifier } from '../../src/ports.ts'

export interface VerifierUnderTest extends AsyncDisposable {
  readonly verifier: TokenVerifier
  /** A token of the issuer named `issuerName` for user `ada` with role `dev`, good for `seconds`. */
  issue(options?: { readonly seconds?: number; readonly audience?: string }): Promise<string>
  readonly issuerName: string
  /** Lets time pass for the verifier. */
  advance(ms: number): void
}

export function describeTokenVerifier(name: string, open: () => Promise<VerifierUnderTest>): void {
  describe(`${name} keeps the contract of a token verifier`, () => {
    let under: VerifierUnderTest

    beforeAll(async () => {
      under = await open()
    })

    afterAll(async () => {
      await under[Symbol.asyncDispose]()
    })

    it('a good token gives the identity that its claims name', async () => {
      const verdict = await under.verifier.verify(await under.issue())
      expect(verdict).toMatchObject({
        kind: 'verified',
        identity: {
          single: { user: 'ada', issuer: under.issuerName },
          list: { role: ['dev'] },
          issuer: under.issuerName,
          subject: 'ada',
        },
      })
    })

    it('a second look gives the same answer', async () => {
      const token = await under.issue()
      expect(await under.verifier.verify(token)).toEqual(await under.verifier.verify(token))
    })

    it('no text makes it throw, and none is accepted', async () => {
      const good = await under.issue()
      const texts = [
        '',
        '.',
        '..',
        'a.b.c',
        'sk-1234',
        'null',
        good.slice(1),
        `${good}.`,
        `${good}x`,
        '\u0000'.repeat(99),
      ]
      for (const text of [...texts, good.replace('.', '..'), 'e30.e30.e30', 'A'.repeat(1_000_000)]) {
        expect(await under.verifier.verify(text)).toMatchObject({ kind: 'rejected', public: 'not_accepted' })
      }
    })

    it('every signed part counts: a token changed at any place is refused', async () => {
      const good = await under.issue()
      for (let at = 1; at < good.length; at += 29) {
        if (good[at] === '.') continue
        const other = good[at] === 'A' ? 'B' : 'A'
        const forged = `${good.slice(0, at)}${other}${good.slice(at + 1)}`
        expect(await under.verifier.verify(forged), `character ${at}`).toMatchObject({ kind: 'rejected' })
      }
    })

    it('the caller learns that the audience is wrong', async () => {
      const token = await under.issue({ audience: 'another-service' })
      expect(await under.verifier.verify(token)).toMatchObject({ kind: 'rejected', public: 'wrong_audience' })
    })

    it('a token is refused as expired once its time is over, also when it was accepted before', async () => {
      const token = await under.issue({ seconds: 120 })
      expect(await under.verifier.verify(token)).toMatchObject({ kind: 'verified' })
      under.advance(200_000)
      expect(await under.verifier.verify(token)).toMatchObject({ kind: 'rejected', public: 'expired' })
    })

    it('the published keys hold no private part', () => {
      const { keys } = under.verifier.builtinKeys()
      for (const key of keys) expect(Object.keys(key)).not.toContain('d')
    })
  })
}
