import { once } from 'node:events'
import { Agent, get } from 'node:http'
import type { IncomingMessage } from 'node:http'
import { afterEach, describe, expect, it } from 'vitest'
import { membersOf, textOf } from '../../src/domain/audit/record-members.ts'
import { isAdmitted, openIn, recordsOf, settledIn, spendOf } from '../support/books.ts'
import { chat, openStream, post } from '../support/calls.ts'
import { runCli } from '../support/cli.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { until } from '../support/until.ts'

const POLICIES = policySet(`
budgets:
  - name: dollars
    key: [tenant]
    limit: {usd: "1000.00", period: lifetime}
`)

let gateway: RunningGateway

afterEach(async () => {
  await gateway[Symbol.asyncDispose]()
})

async function start(drainSeconds: number): Promise<string> {
  gateway = await startGateway({ policies: POLICIES, drainSeconds })
  return gateway.token()
}

/** Sends one SIGTERM and resolves once the process says that it stops; the promise inside is its exit code. */
async function terminate(): Promise<{ readonly exit: Promise<number | null> }> {
  const exit = once(gateway.child, 'exit').then(() => gateway.child.exitCode)
  gateway.child.kill('SIGTERM')
  await until('the gateway stops', async () => (gateway.log().includes('"stopping"') ? true : undefined))
  return { exit }
}

async function refusesConnections(): Promise<true | undefined> {
  try {
    await (await fetch(`${gateway.url}/livez`, { headers: { connection: 'close' } })).arrayBuffer()
    return undefined
  } catch (error) {
    const cause = error instanceof Error ? error.cause : undefined
    return cause instanceof Error && 'code' in cause && cause.code === 'ECONNREFUSED' ? true : undefined
  }
}

/** What a stopped gateway has left behind. */
async function leftBehind() {
  const [records, verified, report] = await Promise.all([
    recordsOf(gateway.dataDir),
    runCli(['audit', 'verify', '--data', gateway.dataDir]),
    spendOf(gateway.dataDir),
  ])
  const settled = records.filter((record) => record.type === 'settle')
  return {
    admitted: records.filter(isAdmitted).length,
    open: openIn(records).length,
    endings: settled.map((record) => `${textOf(record['out'])} by ${textOf(record['basis'])}`),
    outputs: settled.map((record) => Number(membersOf(record['use'])['out'])),
    last: records.at(-1)?.type,
    verified: verified.code,
    reported: BigInt(report.total.nanoUsd) === settledIn(records),
  }
}

describe('SIGTERM', () => {
  it('lets open streams run to their end, takes no new connection, settles everything and exits 0', async () => {
    const token = await start(30)
    const body = chat('tokens=60 speed=20', { stream: true, max_tokens: 100 })
    const streams = await Promise.all([1, 2, 3, 4, 5].map(() => openStream({ url: gateway.url, token, body })))
    await Promise.all(streams.map((stream) => stream.seen(1)))
    const { exit } = await terminate()
    await until('no connection is taken', refusesConnections)
    expect(streams.every((stream) => !stream.text().includes('[DONE]'))).toBe(true)

    expect(await Promise.all(streams.map((stream) => stream.ended))).toEqual(streams.map(() => 'clean'))
    for (const stream of streams) {
      expect(stream.text()).toContain('data: [DONE]')
      expect(stream.text()).not.toContain('"error"')
    }
    expect(await exit).toBe(0)
    expect(await leftBehind()).toEqual({
      admitted: 5,
      open: 0,
      endings: streams.map(() => 'ok by provider_usage'),
      outputs: streams.map(() => 60),
      last: 'close',
      verified: 0,
      reported: true,
    })
  })

  it('does not wait for connections that clients keep alive', async () => {
    const token = await start(60)
    // The client of this process keeps its connection for later calls.
    const before = await post({ url: gateway.url, token, body: chat('tokens=5') })
    await before.arrayBuffer()
    const stream = await post({ url: gateway.url, token, body: chat('tokens=20 speed=20', { stream: true }) })
    const agent = new Agent({ keepAlive: true })
    // The event carries one value, the answer.
    const [idle] = (await once(get(`${gateway.url}/livez`, { agent }), 'response')) as [IncomingMessage]
    idle.resume()
    await once(idle, 'end')

    const { exit } = await terminate()
    expect(await stream.text()).toContain('data: [DONE]')
    const endedAtMs = performance.now()
    expect(await exit).toBe(0)
    expect(performance.now() - endedAtMs).toBeLessThan(5_000)
    agent.destroy()
    expect(await leftBehind()).toMatchObject({ admitted: 2, open: 0, last: 'close', verified: 0 })
  })

  it('follows a stream whose caller has left to its usage', async () => {
    const token = await start(30)
    const body = chat('tokens=60 speed=20', { stream: true, max_tokens: 100 })
    const stream = await openStream({ url: gateway.url, token, body })
    await stream.seen(3)
    stream.leave()
    await stream.ended
    const { exit } = await terminate()
    expect(await exit).toBe(0)
    expect(await leftBehind()).toMatchObject({
      open: 0,
      endings: ['client_abort by provider_usage'],
      outputs: [60],
      last: 'close',
      verified: 0,
    })
  })

  it('gives streams up at the drain limit: an error frame, a broken connection, settled, exit 0', async () => {
    const token = await start(1)
    const chatBody = chat('tokens=4000 speed=20', { stream: true, max_tokens: 4_000 })
    const messagesBody = { ...chatBody, model: 'sim-claude' }
    const streams = await Promise.all([
      openStream({ url: gateway.url, token, body: chatBody }),
      openStream({ url: gateway.url, token, path: '/v1/messages', body: messagesBody }),
    ])
    await Promise.all(streams.map((stream) => stream.seen(3)))
    expect(await gateway.stop()).toBe(0)
    expect(await Promise.all(streams.map((stream) => stream.ended))).toEqual(['broken', 'broken'])
    expect(streams[0]?.text()).toMatch(/data: \{"error":\{.*\}\}\n\n$/)
    expect(streams[1]?.text()).toMatch(/event: error\ndata: \{"type":"error",.*\}\n\n$/)

    const left = await leftBehind()
    expect(left).toMatchObject({ admitted: 2, open: 0, last: 'close', verified: 0, reported: true })
    expect(left.endings).toEqual(['upstream_error by counted_output', 'upstream_error by counted_output'])
    expect(left.outputs.every((tokens) => tokens >= 3 && tokens < 4_000)).toBe(true)
  })

  it('at the drain limit charges a call whose upstream hangs its bound, whether its caller has left or waits', async () => {
    const token = await start(1)
    const leaving = new AbortController()
    const ask = { url: gateway.url, token, body: chat('hang', { max_tokens: 50 }) }
    const left = post({ ...ask, signal: leaving.signal }).catch((error: unknown) => error)
    const waiting = post(ask)
    await until('both calls are admitted', async () => {
      const records = await recordsOf(gateway.dataDir)
      return records.filter(isAdmitted).length === 2 ? true : undefined
    })
    leaving.abort()
    expect(await left).toBeInstanceOf(Error)
    expect(await gateway.stop()).toBe(0)
    expect((await waiting).status).toBe(502)
    const books = await leftBehind()
    // What the upstream wrote meanwhile is unknown, so it is all that was asked for.
    expect(books).toMatchObject({ admitted: 2, open: 0, last: 'close', verified: 0, reported: true, outputs: [50, 50] })
    expect(books.endings.toSorted((a, b) => (a < b ? -1 : 1))).toEqual([
      'client_abort by estimate',
      'upstream_error by estimate',
    ])
  })
})
