import { generateKeyPairSync, sign } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import {
  formatVkey,
  noteKey,
  parseVkey,
  signCheckpoint,
  verifyCheckpoint,
} from '../../../src/domain/audit/checkpoint.ts'

const { privateKey } = generateKeyPairSync('ed25519')
const other = generateKeyPairSync('ed25519').privateKey
const origin = 'gw.example.com/audit/log-abc'
const key = noteKey(origin, privateKey)
const root = Buffer.alloc(32, 7)
const note = signCheckpoint({ origin, size: 123, root }, privateKey)

describe('a checkpoint', () => {
  it('is the text that C2SP tlog-checkpoint and signed-note define', () => {
    const lines = note.split('\n')
    expect(lines.slice(0, 4)).toEqual([origin, '123', root.toString('base64'), ''])
    expect(lines[4]).toMatch(/^\u2014 gw\.example\.com\/audit\/log-abc [A-Za-z0-9+/]+=*$/u)
    expect(Buffer.from(lines[4]!.split(' ')[2]!, 'base64')).toHaveLength(4 + 64)
    expect(lines.slice(5)).toEqual([''])
  })

  it('is verified by the key alone', () => {
    const verdict = verifyCheckpoint(note, parseVkey(formatVkey(key)))
    expect(verdict).toEqual({ kind: 'verified', checkpoint: { origin, size: 123, root } })
  })

  it('ignores signatures of others', () => {
    const witnessed = `${note}\u2014 witness.example ${Buffer.alloc(76).toString('base64')}\n`
    expect(verifyCheckpoint(witnessed, key).kind).toBe('verified')
  })

  it('is not verified when any single byte of its text or signature is another', () => {
    const bytes = Buffer.from(note)
    for (let at = 0; at < bytes.length - 1; at += 1) {
      const copy = Buffer.from(bytes)
      copy[at]! ^= 0x04
      expect(verifyCheckpoint(copy.toString('utf8'), key).kind, `byte ${at}`).not.toBe('verified')
    }
  })

  it('of another key or another log is of an unknown key', () => {
    expect(verifyCheckpoint(signCheckpoint({ origin, size: 123, root }, other), key).kind).toBe('unknown_key')
    expect(verifyCheckpoint(signCheckpoint({ origin: 'x', size: 1, root }, privateKey), key).kind).toBe('unknown_key')
  })

  it('that the key signed for another log does not speak for this one', () => {
    const text = `other/log\n123\n${root.toString('base64')}\n`
    const signature = Buffer.concat([key.id, sign(null, Buffer.from(text), privateKey)]).toString('base64')
    const verdict = verifyCheckpoint(`${text}\n\u2014 ${origin} ${signature}\n`, key)
    expect(verdict).toMatchObject({ kind: 'unknown_key', reason: expect.stringContaining('other/log') })
  })

  it('has a key whose id, name and bytes belong together', () => {
    const vkey = formatVkey(key)
    expect(vkey).toMatch(/^gw\.example\.com\/audit\/log-abc\+[0-9a-f]{8}\+A[A-Za-z0-9+/]+=*$/u)
    expect(() => parseVkey(vkey.replace('log-abc', 'log-abd'))).toThrow('does not belong')
    expect(() => parseVkey('nonsense')).toThrow('expected "<name>+')
    expect(() => noteKey('with space', privateKey)).toThrow('must not be empty or hold spaces')
  })

  it('has the key id of the example of C2SP signed-note', () => {
    const example = 'PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW'
    expect(formatVkey(parseVkey(example))).toBe(example)
  })
})
