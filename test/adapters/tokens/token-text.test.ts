/** What the text of a token may be, before and beside what it claims. */
import { assert, dictionary, jsonValue, property, string } from 'fast-check'
import { describe, expect, it } from 'vitest'
import { hasDuplicateKeys } from '../../../src/adapters/tokens/duplicate-keys.ts'
import { inspectToken } from '../../../src/adapters/tokens/inspect-token.ts'
import { TOKEN_REASONS } from '../../../src/adapters/tokens/reasons.ts'
import { createTokenVerifier } from '../../../src/adapters/tokens/verifier.ts'
import {
  FixedClock,
  headerOf,
  jwks,
  makeKey,
  outcome,
  payloadOf,
  ruleOf,
  signTexts,
  signToken,
} from './identity-provider.ts'

const ec = makeKey('ES256', 'ec-1')
const rules = [ruleOf()]
const fetchDocument = async () => jwks(ec)
const verifier = createTokenVerifier({ issuers: () => rules, clock: new FixedClock(), fetchDocument })
const verify = (token: string) => verifier.verify(token)
const reason = (token: string) => outcome(verify(token))

describe('texts', () => {
  const header = JSON.stringify(headerOf(ec))
  const payload = JSON.stringify(payloadOf())

  it('a claim that stands twice is refused, however it is spelled and however deep it lies', async () => {
    const spellings = [
      payload.replace('{', '{"sub":"root",'),
      payload.replace('{', String.raw`{"s\u0075b":"root",`),
      payload.replace('{', '{"x":[{"y":{"a":1,"b":2,"a":3}}],'),
    ]
    for (const text of spellings) expect(await reason(signTexts(ec, header, text))).toBe('duplicate_claim')
    expect(await reason(signTexts(ec, header.replace('{', '{"alg":"none",'), payload))).toBe('duplicate_claim')
  })

  it('equal names in different objects, and names inside texts, are no duplicates', async () => {
    const text = payload.replace('{', String.raw`{"x":{"sub":1},"y":[{"sub":1},{"sub":2}],"z":"\",\"sub\":\"root\"",`)
    expect(await reason(signTexts(ec, header, text))).toBe('verified')
  })

  it.each([
    ['a list', '[]'],
    ['a text', '"ada"'],
    ['null', 'null'],
    ['no JSON', '{'],
    ['bad UTF-8', Buffer.from([0x7b, 0x22, 0xff, 0x22, 0x3a, 0x31, 0x7d])],
  ])('a payload that is %s is refused', async (_, text) => {
    expect(await reason(signTexts(ec, header, text))).toBe('malformed')
    expect(await reason(signTexts(ec, text, payload))).toBe('malformed')
  })

  it('a token beyond 8 KiB is refused unread, and one just below is read', async () => {
    const room = 8_192 - signToken(ec, { pad: '' }).length
    const fitting = signToken(ec, { pad: 'x'.repeat(Math.floor((room * 3) / 4) - 3) })
    expect(fitting.length).toBeLessThanOrEqual(8_192)
    expect(await reason(fitting)).toBe('verified')
    expect(await verify(signToken(ec, { pad: 'x'.repeat(7_000) }))).toMatchObject({ reason: 'too_long' })
  })
})

it('the reasons are a closed list without repetitions', () => {
  expect(new Set(TOKEN_REASONS).size).toBe(TOKEN_REASONS.length)
  for (const word of TOKEN_REASONS) expect(word).toMatch(/^[a-z_]{4,40}$/)
})

describe('the scan for duplicate members', () => {
  it('finds none in any text that JSON.stringify writes', () => {
    assert(property(jsonValue(), (value) => !hasDuplicateKeys(JSON.stringify(value))))
  })

  it('finds one that is added to any object', () => {
    assert(
      property(dictionary(string(), jsonValue(), { minKeys: 1 }), (members) => {
        const [first = ''] = Object.keys(members)
        const text = JSON.stringify([members])
        return hasDuplicateKeys(`${text.slice(0, -'}]'.length)},${JSON.stringify(first)}:1}]`)
      }),
    )
  })
})

describe('inspecting', () => {
  it('shows header and claims, and never the signature', () => {
    const token = signToken(ec, { jti: 'j' })
    const seen = inspectToken(` ${token}\n`)
    expect(seen).toEqual({ header: headerOf(ec), payload: payloadOf({ jti: 'j' }) })
    expect(JSON.stringify(seen)).not.toContain(token.split('.')[2])
  })

  it('reads expired and forged tokens too, and nothing that is no token', () => {
    expect(inspectToken(signToken(ec, { exp: 1 }))?.payload['exp']).toBe(1)
    for (const text of ['', 'sk-123', 'a.b', 'a.b.c', '....']) expect(inspectToken(text)).toBeUndefined()
  })
})
