import { createHmac } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { createPseudonyms } from '../../../src/adapters/audit-log/pseudonyms.ts'
import { dataFolder } from './audit-folder.ts'

describe('pseudonyms', () => {
  it('are the keyed hash that the documents describe, from a key that only its owner may read', () => {
    const keyFile = join(dataFolder(), 'keys', 'pseudonyms.key')
    const pseudonyms = createPseudonyms({ keyFile })
    const master = Buffer.from(readFileSync(keyFile, 'utf8'), 'base64')
    const tenantKey = createHmac('sha256', master).update('acme').digest()
    const expected = createHmac('sha256', tenantKey).update('okta\0alice').digest('base64url').slice(0, 22)
    expect(pseudonyms.of('acme', 'okta', 'alice')).toBe(expected)
    expect(expected).toMatch(/^[A-Za-z0-9_-]{22}$/u)
    expect(statSync(keyFile).mode % 0o1000).toBe(0o600)
  })

  it('stay the same as long as the key lives, also beyond what is remembered', () => {
    const keyFile = join(dataFolder(), 'pseudonyms.key')
    const first = createPseudonyms({ keyFile })
    const before = first.of('acme', 'okta', 'alice')
    for (let i = 0; i < 20_001; i += 1) first.of('acme', 'okta', `user-${i}`)
    expect(first.of('acme', 'okta', 'alice')).toBe(before)
    expect(createPseudonyms({ keyFile }).of('acme', 'okta', 'alice')).toBe(before)
  })

  it('differ whenever tenant, issuer or subject differ', () => {
    const pseudonyms = createPseudonyms({ keyFile: join(dataFolder(), 'pseudonyms.key') })
    const name = fc.string({ minLength: 1, maxLength: 4 }).filter((text) => !text.includes('\0'))
    fc.assert(
      fc.property(fc.tuple(name, name, name), fc.tuple(name, name, name), (a, b) => {
        const isSame = JSON.stringify(a) === JSON.stringify(b)
        expect(pseudonyms.of(...a) === pseudonyms.of(...b)).toBe(isSame)
      }),
    )
  })

  it('are not made with a key that is no key', () => {
    const keyFile = join(dataFolder(), 'pseudonyms.key')
    writeFileSync(keyFile, 'short')
    expect(() => createPseudonyms({ keyFile })).toThrow(`${keyFile}: expected 32 bytes in base64`)
  })
})
