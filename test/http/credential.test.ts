import { describe, expect, it } from 'vitest'
import { readCredential } from '../../src/http/credential.ts'

/** Headers as Node's parser would give them. */
function credentialOf(...rows: readonly (readonly [string, string])[]) {
  const headers: Record<string, string> = {}
  for (const [name, value] of rows) headers[name.toLowerCase()] ??= value
  return readCredential({ headers, rawHeaders: rows.flat() })
}

const token = { kind: 'token', token: 'abc' }

describe('the credential of a request', () => {
  it.each([
    ['Bearer', [['Authorization', 'Bearer abc']], token],
    ['bearer in any case, with any number of spaces', [['AUTHORIZATION', 'bEaReR   abc ']], token],
    ['an API key', [['X-Api-Key', 'abc']], token],
    [
      'both, when they are equal',
      [
        ['authorization', 'Bearer abc'],
        ['x-api-key', 'abc'],
      ],
      token,
    ],
    [
      'an API key beside an empty Authorization',
      [
        ['authorization', ' '],
        ['x-api-key', 'abc'],
      ],
      token,
    ],
  ] as const)('is taken from %s', (_, rows, expected) => {
    expect(credentialOf(...rows)).toEqual(expected)
  })

  it.each([
    ['there is none', []],
    ['the scheme is another', [['authorization', 'Basic abc']]],
    ['the scheme is missing', [['authorization', 'abc']]],
    ['two words follow the scheme', [['authorization', 'Bearer abc def']]],
    [
      'the scheme is another, whatever else is sent',
      [
        ['authorization', 'Basic abc'],
        ['x-api-key', 'abc'],
      ],
    ],
    ['the key is empty', [['x-api-key', '']]],
  ] as const)('is missing when %s', (_, rows) => {
    expect(credentialOf(...rows)).toEqual({ kind: 'missing' })
  })

  it.each([
    [
      'the two headers differ',
      [
        ['authorization', 'Bearer abc'],
        ['x-api-key', 'xyz'],
      ],
    ],
    [
      'they differ in case',
      [
        ['authorization', 'Bearer abc'],
        ['x-api-key', 'ABC'],
      ],
    ],
    [
      'Authorization is there twice',
      [
        ['authorization', 'Bearer abc'],
        ['Authorization', 'Bearer xyz'],
      ],
    ],
    [
      'Authorization is there twice, even the same',
      [
        ['authorization', 'Bearer abc'],
        ['authorization', 'Bearer abc'],
      ],
    ],
  ] as const)('is in conflict when %s', (_, rows) => {
    expect(credentialOf(...rows)).toEqual({ kind: 'conflict' })
  })
})
