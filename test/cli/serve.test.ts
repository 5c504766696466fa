/** `serve` as a process: what it refuses to start with, what it says once it listens, and how it ends. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync } from 'node:fs'
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isAdmitted, openIn, recordsOf } from '../support/books.ts'
import { openStream, post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { startGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const ROOT = fileURLToPath(new URL('../../', import.meta.url))

let root: string

beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tollgate-serve-'))
})
afterAll(async () => {
  await rm(root, { recursive: true, force: true })
})

/** A folder with a configuration and policies. */
async function installed(policies: string, more: object = {}): Promise<string> {
  const dir = await mkdtemp(join(root, 'case-'))
  await writeFile(join(dir, 'policies.yaml'), policies)
  const config = { listen: { port: 0 }, policies: './policies.yaml', pricing: join(ROOT, 'pricing'), ...more }
  await writeFile(join(dir, 'tollgate.yaml'), JSON.stringify(config))
  return dir
}

const serve = (cwd: string, ...args: readonly string[]) =>
  runCli(['serve', '--config', 'tollgate.yaml', ...args], { cwd })

const vendor = `
  - name: openai
    provider: openai
    baseUrl: https://api.openai.com/v1
    models: {gpt-5: gpt-5}
    keys: [{id: k, secret: "env:A_KEY_THAT_IS_NOT_SET"}]
destinations: {allow: [api.openai.com]}
access:`

describe('serve does not start', () => {
  it('with faulty policies: exits 1 and names the place', async () => {
    const { code, stdout, stderr } = await serve(await installed(policySet('').replace('access:', 'acces:')))
    expect({ code, stdout }).toEqual({ code: 1, stdout: '' })
    expect(stderr).toMatch(/policies\.yaml:\d+:\d+: error/)
  })

  it('without the secret of an upstream that is not optional: exits 1 and names where it should be', async () => {
    const { code, stderr } = await serve(await installed(policySet('').replace('access:', vendor.slice(1))))
    expect(code).toBe(1)
    expect(stderr).toContain('upstream openai: env:A_KEY_THAT_IS_NOT_SET is not set')
  })

  it('on a port that is taken: exits 3, names the port, and leaves nothing running', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const address = taken.address()
    const port = typeof address === 'object' && address !== null ? address.port : 0
    const { code, stderr } = await serve(await installed(policySet('')), '--port', String(port))
    taken.close()
    expect(code).toBe(3)
    expect(stderr).toContain(`EADDRINUSE: address already in use 127.0.0.1:${port}`)
  })

  it('on a Redis that would evict budgets: exits 1 and says what to set', async () => {
    await using redis = await startRedis({ args: ['--maxmemory-policy', 'allkeys-lru'] })
    const { code, stderr } = await serve(await installed(policySet(''), { ledger: { kind: 'redis', url: redis.url } }))
    expect(code).toBe(1)
    expect(stderr).toContain('set maxmemory-policy noeviction')
  })

  it('without its Redis: exits 3 in bounded time, and says that nobody listens there', async () => {
    const dir = await installed(policySet(''), { ledger: { kind: 'redis', url: 'redis://:canary-word@127.0.0.1:1' } })
    const { code, stderr } = await serve(dir)
    expect(code).toBe(3)
    expect(stderr).toContain(
      'ledger: nobody listens where the ledger should be (Redis: connect ECONNREFUSED 127.0.0.1:1)',
    )
    expect(stderr).not.toContain('canary-word')
  })

  it('when the ready file cannot be written: exits 3', async () => {
    const { code, stderr } = await serve(await installed(policySet('')), '--ready-file', './nowhere/ready.json')
    expect(code).toBe(3)
    expect(stderr).toContain('nowhere/ready.json')
  })
})

interface Ready {
  readonly url: string
  readonly adminUrl: string
  readonly pid: number
  readonly tokens?: Readonly<Record<'agent' | 'finance' | 'compliance' | 'admin', string>>
}

/** A gateway in a folder of its own, started as `npm start` starts it. */
async function development() {
  const cwd = await mkdtemp(join(root, 'dev-'))
  const args = [join(ROOT, 'src/main.ts'), 'serve', '--port', '0', '--ready-file', 'ready.json']
  const { OPENAI_API_KEY: _openai, ANTHROPIC_API_KEY: _anthropic, ...env } = process.env
  const child = spawn(process.execPath, args, { cwd, env, stdio: ['ignore', 'pipe', 'pipe'] })
  let stdout = ''
  child.stdout.setEncoding('utf8').on('data', (text: string) => void (stdout += text))
  child.stderr.resume()
  const file = join(cwd, 'ready.json')
  await until('the gateway listens', async () => existsSync(file) || child.exitCode !== null || undefined)
  const ready: Ready = JSON.parse(await readFile(file, 'utf8'))
  const stop = async () => {
    const exited = once(child, 'exit')
    child.kill('SIGTERM')
    await exited
  }
  return { cwd, child, ready, welcome: () => stdout, stop }
}

describe('serve in development', () => {
  let gateway: Awaited<ReturnType<typeof development>>

  beforeAll(async () => {
    gateway = await development()
  })
  afterAll(async () => {
    await gateway.stop()
  })

  const ask = (model: string, path = '/v1/chat/completions') => ({
    url: gateway.ready.url,
    path,
    body: { model, max_tokens: 5, messages: [{ role: 'user', content: 'Hi' }] },
  })
  const statusOf = async (token = '', model = 'sim-small', path?: string) => {
    const response = await post({ ...ask(model, path), token })
    await response.arrayBuffer()
    return response.status
  }

  it('says where it is, in the ready file and to people, and nobody else can read its tokens', async () => {
    const { ready, cwd, child, welcome } = gateway
    expect(ready).toMatchObject({ url: expect.stringMatching(/^http:\/\/127\.0\.0\.1:\d+$/), pid: child.pid })
    expect(ready.adminUrl).toBe(ready.url)
    expect(Object.keys(ready.tokens ?? {})).toEqual(['agent', 'finance', 'compliance', 'admin'])
    expect(welcome()).toContain(`OPENAI_BASE_URL=${ready.url}/v1`)
    expect(welcome()).toContain(ready.tokens?.agent)
    const secrets = [
      'ready.json',
      '.tollgate/token',
      ...(await readdir(join(cwd, '.tollgate/keys'))).map((name) => `.tollgate/keys/${name}`),
    ]
    for (const name of secrets)
      expect({ name, open: (await stat(join(cwd, name))).mode & 0o077 }).toEqual({ name, open: 0 })
  })

  it('lets each of its four tokens do what the policies say, in both dialects', async () => {
    const { agent, finance, compliance, admin } = gateway.ready.tokens ?? {}
    expect(await Promise.all([agent, finance, compliance, admin].map((token) => statusOf(token)))).toEqual([
      200, 200, 200, 200,
    ])
    expect(await Promise.all([agent, admin].map((token) => statusOf(token, 'sim-claude', '/v1/messages')))).toEqual([
      200, 200,
    ])
    expect(await Promise.all([finance, compliance].map((token) => statusOf(token, 'sim-large')))).toEqual([404, 404])
    expect(await Promise.all([agent, admin].map((token) => statusOf(token, 'sim-expensive')))).toEqual([429, 429])
  })

  it('writes a log that verifies while it runs', async () => {
    const { code, stdout } = await runCli(['audit', 'verify', '--data', '.tollgate'], { cwd: gateway.cwd })
    expect(stdout).toContain('audit verify: ok')
    expect(code).toBe(0)
  })
})

describe('serve with a configuration', () => {
  it('issues no tokens and prints no data', async () => {
    await using gateway = await startGateway({ policies: policySet('') })
    const ready: Ready = JSON.parse(await readFile(join(gateway.dir, 'ready.json'), 'utf8'))
    expect(ready.tokens).toBeUndefined()
    expect(existsSync(join(gateway.dataDir, 'token'))).toBe(false)
  })

  it('serves operators on a port of their own, and tells callers nothing there', async () => {
    const cwd = await installed(policySet(''), { listen: { port: 0, adminPort: 0 } })
    const args = [join(ROOT, 'src/main.ts'), 'serve', '--config', 'tollgate.yaml', '--ready-file', 'ready.json']
    const child = spawn(process.execPath, args, { cwd, stdio: 'ignore' })
    const file = join(cwd, 'ready.json')
    await until('the gateway listens', async () => existsSync(file) || child.exitCode !== null || undefined)
    const { url, adminUrl }: Ready = JSON.parse(await readFile(file, 'utf8'))
    const status = async (at: string) => (await fetch(at)).status
    expect(adminUrl).not.toBe(url)
    expect([await status(`${url}/metrics`), await status(`${adminUrl}/metrics`)]).toEqual([404, 200])
    expect([await status(`${url}/livez`), await status(`${adminUrl}/livez`)]).toEqual([200, 200])
    expect([await status(`${url}/v1/models`), await status(`${adminUrl}/v1/models`)]).toEqual([401, 404])
    const exited = once(child, 'exit')
    child.kill('SIGINT')
    expect(await exited).toEqual([0, null])
  })

  it('settles what a caller has asked for that left before its answer', async () => {
    await using gateway = await startGateway({ policies: policySet('', '{latency: 1500ms, outputTokens: 7}') })
    const leaving = new AbortController()
    const body = { model: 'sim-small', max_tokens: 20, messages: [{ role: 'user', content: 'Hi' }] }
    const answer = fetch(`${gateway.url}/v1/chat/completions`, {
      method: 'POST',
      headers: { authorization: `Bearer ${await gateway.token()}` },
      body: JSON.stringify(body),
      signal: leaving.signal,
    }).catch(() => 'left')
    await until('the call is admitted', async () => (await recordsOf(gateway.dataDir)).some(isAdmitted) || undefined)
    leaving.abort()
    expect(await answer).toBe('left')
    expect(await gateway.stop()).toBe(0)
    const records = await recordsOf(gateway.dataDir)
    expect(openIn(records)).toEqual([])
    const settled = records.find((record) => record.type === 'settle')
    expect(settled).toMatchObject({ out: 'client_abort', basis: 'provider_usage', use: { out: 7 } })
  })

  it('ends at once at the second signal, although a stream is open', async () => {
    await using gateway = await startGateway({
      policies: policySet('', '{latency: 0ms, tokensPerSecond: 1, outputTokens: 60}'),
    })
    const body = { model: 'sim-small', stream: true, max_tokens: 60, messages: [{ role: 'user', content: 'Hi' }] }
    const stream = await openStream({ url: gateway.url, token: await gateway.token(), body })
    await stream.seen(1)
    const exited = once(gateway.child, 'exit')
    gateway.child.kill('SIGTERM')
    await until('it says that it stops', async () => gateway.log().includes('"stopping"') || undefined)
    const asked = performance.now()
    gateway.child.kill('SIGTERM')
    expect(await exited).toEqual([3, null])
    expect(performance.now() - asked).toBeLessThan(3_000)
    expect(await stream.ended).toBe('broken')
  })
})
