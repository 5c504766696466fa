import { mkdtempSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createSecretReader, readEnvironment } from '../../src/config/environment.ts'

function secretFile(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'tollgate-secrets-'))
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }))
  const path = join(dir, 'secret')
  writeFileSync(path, text)
  return path
}

describe('the environment', () => {
  it('is read into settings, and what is not set is absent', () => {
    expect(readEnvironment({ PORT: '1', TOLLGATE_CONFIG: 'a.yaml', TOLLGATE_LOG_LEVEL: 'warn', HOME: '/' })).toEqual({
      kind: 'read',
      environment: { configFile: 'a.yaml', port: '1', redisUrl: undefined, logLevel: 'warn' },
    })
  })

  it('with a name of ours that means nothing is refused: it is a typing mistake', () => {
    const read = readEnvironment({ TOLLGATE_LOGLEVEL: 'debug', TOLLGATE_X: '1' })
    expect(read).toMatchObject({ kind: 'invalid' })
    expect(read.kind === 'invalid' ? read.message : '').toMatch(
      /TOLLGATE_LOGLEVEL, TOLLGATE_X; known are TOLLGATE_CONFIG, TOLLGATE_LOG_LEVEL/,
    )
  })
})

describe('a secret', () => {
  it('is taken from its variable', () => {
    expect(createSecretReader({ KEY: 'abc' })('env:KEY')).toBe('abc')
  })

  it('is taken from the file that NAME_FILE names, without the line end that editors add', () => {
    expect(createSecretReader({ KEY_FILE: secretFile(' abc \n') })('env:KEY')).toBe('abc')
    expect(createSecretReader({ KEY: '', KEY_FILE: secretFile('abc') })('env:KEY')).toBe('abc')
    expect(createSecretReader({ KEY: 'first', KEY_FILE: secretFile('second') })('env:KEY')).toBe('first')
  })

  it('is taken from a file by its path', () => {
    expect(createSecretReader({})(`file:${secretFile('abc\n')}`)).toBe('abc')
  })

  it('is read again within a second when its file has changed: a rotated key needs no restart', () => {
    const path = secretFile('old')
    let nowMs = 0
    const read = createSecretReader({}, () => nowMs)
    expect(read(`file:${path}`)).toBe('old')
    writeFileSync(path, 'new')
    utimesSync(path, new Date(), new Date(Date.now() + 5_000))
    nowMs = 999
    expect(read(`file:${path}`)).toBe('old')
    nowMs = 1_000
    expect(read(`file:${path}`)).toBe('new')
    rmSync(path)
    nowMs = 2_000
    expect(read(`file:${path}`)).toBeUndefined()
  })

  it.each([
    ['its variable is not set', 'env:KEY', {}],
    ['its variable is empty', 'env:KEY', { KEY: '' }],
    ['its file is not there', 'file:/nowhere/secret', {}],
    ['the file of NAME_FILE is not there', 'env:KEY', { KEY_FILE: '/nowhere/secret' }],
    ['its path is a folder', `file:${tmpdir()}`, {}],
    ['the reference is of another kind', 'vault:KEY', { KEY: 'abc' }],
  ])('is not there when %s', (_, reference, env) => {
    expect(createSecretReader(env)(reference)).toBeUndefined()
  })

  it('is not there when its file is empty or larger than any secret', () => {
    const read = createSecretReader({})
    expect(read(`file:${secretFile('\n')}`)).toBeUndefined()
    expect(read(`file:${secretFile('x'.repeat(70_000))}`)).toBeUndefined()
  })
})
