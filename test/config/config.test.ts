import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { loadConfig } from '../../src/config/config.ts'
import type { Config, Overrides } from '../../src/config/config.ts'
import { readEnvironment } from '../../src/config/environment.ts'

function folder(): string {
  const path = mkdtempSync(join(tmpdir(), 'tollgate-config-'))
  onTestFinished(() => rmSync(path, { recursive: true, force: true }))
  return path
}

function load(text: string | undefined, overrides: Overrides = {}, env: NodeJS.ProcessEnv = {}) {
  const read = readEnvironment(env)
  if (read.kind === 'invalid') throw new Error(read.message)
  if (text === undefined) return loadConfig(overrides, read.environment)
  const file = join(folder(), 'tollgate.yaml')
  writeFileSync(file, text)
  return loadConfig({ configFile: file, ...overrides }, read.environment)
}

function loaded(...args: Parameters<typeof load>): Config {
  const result = load(...args)
  if (result.kind === 'invalid') throw new Error(result.problems.join('\n'))
  return result.config
}

function problems(...args: Parameters<typeof load>): readonly string[] {
  const result = load(...args)
  return result.kind === 'invalid' ? result.problems : []
}

describe('a configuration', () => {
  it('may be empty: everything has a default, and paths are relative to the file', () => {
    const dir = folder()
    const file = join(dir, 'tollgate.yaml')
    writeFileSync(file, '# nothing\n')
    expect(loaded(undefined, { configFile: file })).toEqual({
      development: false,
      listen: { host: '127.0.0.1', port: 8787, adminPort: undefined },
      dataDir: join(dir, '.tollgate'),
      policyPaths: [join(dir, 'policies')],
      pricingPaths: [join(dir, 'pricing')],
      ledger: { kind: 'memory' },
      audit: { durability: 'disk' },
      shutdown: { drainMs: 120_000 },
      logLevel: 'info',
    })
  })

  it('takes lists of policy files and absolute paths as they are', () => {
    const config = loaded('{policies: [/etc/a.yaml, b.yaml], pricing: /etc/prices}')
    expect(config.policyPaths).toEqual(['/etc/a.yaml', expect.stringMatching(/\/b\.yaml$/)])
    expect(config.pricingPaths).toEqual(['/etc/prices'])
  })

  it.each([
    ['an unknown member', 'polices: ./x', 'polices'],
    ['an unknown member inside', 'listen: {hots: x}', 'listen: '],
    ['a port out of range', 'listen: {port: 65536}', 'listen.port'],
    ['a port that is no number', 'listen: {port: "80a"}', 'listen.port'],
    ['an unknown ledger', 'ledger: {kind: postgres}', 'ledger'],
    ['a Redis address of another scheme', 'ledger: {kind: redis, url: "http://x"}', 'ledger.url'],
    ['a Redis ledger without an address', 'ledger: {kind: redis}', 'REDIS_URL_FILE'],
    [
      'a Redis address and Sentinels',
      'ledger: {kind: redis, url: "redis://a", sentinels: ["a:1"], name: m}',
      'ledger.url',
    ],
    ['Sentinels without a name', 'ledger: {kind: redis, sentinels: ["a:1"]}', 'ledger.name'],
    ['a name without Sentinels', 'ledger: {kind: redis, url: "redis://a", name: m}', 'ledger.name'],
    ['a Sentinel without a port', 'ledger: {kind: redis, sentinels: [a], name: m}', 'ledger.sentinels.0'],
    ['a Cluster without nodes', 'ledger: {kind: redis-cluster, nodes: []}', 'ledger.nodes'],
    ['a Cluster node that is a URL', 'ledger: {kind: redis-cluster, nodes: ["redis://a:1"]}', 'ledger.nodes.0'],
    ['a port of a node out of range', 'ledger: {kind: redis-cluster, nodes: ["a:65536"]}', 'ledger.nodes.0'],
    [
      'an authority that is not there',
      'ledger: {kind: redis-cluster, nodes: ["a:1"], tls: {caFile: x}}',
      'ledger.tls.caFile',
    ],
    ['a bound of nothing', 'ledger: {kind: redis, url: "redis://a", commandTimeoutMs: 0}', 'ledger.commandTimeoutMs'],
    ['an unknown durability', 'audit: {durability: maybe}', 'audit.durability'],
    ['an endless shutdown', 'shutdown: {drainSeconds: 3601}', 'shutdown.drainSeconds'],
    ['a list', '- a', 'object'],
    ['a member given twice', 'data: a\ndata: b', 'unique'],
    ['what is no YAML', 'data: [', 'tollgate.yaml'],
  ])('with %s is refused by name', (_, text, says) => {
    const found = problems(text)
    expect(found).toHaveLength(1)
    expect(found[0]).toContain(says)
  })

  it('is refused with every fault at once', () => {
    expect(problems('{listen: {port: -1}, audit: {durability: x}, data: ""}')).toHaveLength(3)
  })

  it('that cannot be read is refused with the way out', () => {
    expect(problems(undefined, { configFile: '/nowhere/tollgate.yaml' })).toEqual([
      '/nowhere/tollgate.yaml: cannot be read; pass --config with the path of a readable file',
    ])
  })

  it('that is larger than any real one is not parsed', () => {
    expect(problems(`# ${'x'.repeat(300_000)}`)[0]).toContain('larger than')
  })
})

describe('the command line and the environment', () => {
  it('win over the file, and the command line over the environment', () => {
    const text = 'listen: {host: 10.0.0.1, port: 1}'
    expect(loaded(text).listen).toMatchObject({ host: '10.0.0.1', port: 1 })
    expect(loaded(text, {}, { PORT: '2' }).listen.port).toBe(2)
    expect(loaded(text, { port: '3', host: '::1' }, { PORT: '2' }).listen).toMatchObject({ host: '::1', port: 3 })
    expect(loaded(text, { data: '/var/lib/tollgate' }).dataDir).toBe('/var/lib/tollgate')
  })

  it.each(['', 'abc', '-1', '1.5', '65536', '0x50', ' 80', '1e3'])('a port of %j is refused', (text) => {
    expect(problems('{}', { port: text })).toEqual([`--port or PORT: ${text}: a whole number from 0 to 65535`])
    expect(problems('{}', {}, { PORT: text })).toHaveLength(1)
  })

  it('a log level is one that exists', () => {
    expect(loaded('{}', {}, { TOLLGATE_LOG_LEVEL: 'debug' }).logLevel).toBe('debug')
    expect(problems('{}', {}, { TOLLGATE_LOG_LEVEL: 'loud' })[0]).toContain('TOLLGATE_LOG_LEVEL: loud: one of trace')
  })

  it('names a Cluster or Sentinels, whom to trust and how long to wait; passwords come from the environment', () => {
    const dir = folder()
    writeFileSync(join(dir, 'ca.pem'), '-----BEGIN CERTIFICATE-----\n')
    writeFileSync(join(dir, 'key.pem'), 'not a certificate')
    writeFileSync(join(dir, 'password'), 'secret\n')
    const tls = (file: string) => `tls: {caFile: ${join(dir, file)}}`
    const cluster = `ledger: {kind: redis-cluster, nodes: ["a:1", "[::1]:2"], username: u, ${tls('ca.pem')}}`
    expect(loaded(cluster, {}, { REDIS_PASSWORD_FILE: join(dir, 'password') }).ledger).toEqual({
      kind: 'redis-cluster',
      nodes: [
        { host: 'a', port: 1 },
        { host: '::1', port: 2 },
      ],
      username: 'u',
      password: 'secret',
      tls: { ca: '-----BEGIN CERTIFICATE-----\n' },
    })
    const sentinels = 'ledger: {kind: redis, sentinels: ["a:1"], name: m, commandTimeoutMs: 250, tls: {}}'
    expect(loaded(sentinels, {}, { REDIS_PASSWORD: 'p', REDIS_SENTINEL_PASSWORD: 's' }).ledger).toEqual({
      kind: 'redis',
      sentinels: [{ host: 'a', port: 1 }],
      name: 'm',
      password: 'p',
      sentinelPassword: 's',
      commandTimeoutMs: 250,
      tls: {},
    })
    expect(problems(cluster.replace('ca.pem', 'key.pem'))).toEqual(['ledger.tls.caFile: holds no certificate in PEM'])
  })

  it('the address of Redis may come from the environment, and is never repeated', () => {
    const text = 'ledger: {kind: redis}'
    expect(loaded(text, {}, { REDIS_URL: 'redis://a:1' }).ledger).toEqual({ kind: 'redis', url: 'redis://a:1' })
    const file = join(folder(), 'redis-url')
    writeFileSync(file, 'rediss://:secret@b:2\n')
    expect(loaded(text, {}, { REDIS_URL_FILE: file }).ledger).toEqual({ kind: 'redis', url: 'rediss://:secret@b:2' })
    expect(problems(text, {}, { REDIS_URL: 'http://:secret@c' })).toEqual(['REDIS_URL: a redis:// or rediss:// URL'])
  })

  it('name the configuration file, too', () => {
    const file = join(folder(), 'other.yaml')
    writeFileSync(file, 'listen: {port: 77}')
    expect(loaded(undefined, {}, { TOLLGATE_CONFIG: file })).toMatchObject({ development: false, listen: { port: 77 } })
  })
})

describe('without a configuration', () => {
  it('the gateway is in development: shipped policies, and data in the working folder', () => {
    const config = loaded(undefined)
    expect(config).toMatchObject({ development: true, ledger: { kind: 'memory' }, listen: { host: '127.0.0.1' } })
    expect(config.policyPaths[0]).toMatch(/\/policies\/default\.yaml$/)
    expect(config.dataDir).toBe(join(process.cwd(), '.tollgate'))
  })

  it.each(['127.0.0.1', '::1', 'localhost'])('listening on %s is allowed', (host) => {
    expect(loaded(undefined, { host }).listen.host).toBe(host)
  })

  it.each(['0.0.0.0', '::', '192.168.1.7', 'example.com', '127.0.0.1.evil.example', ''])(
    'listening on %j is refused',
    (host) => {
      expect(problems(undefined, { host })[0]).toContain('loopback only')
    },
  )
})
