import { Redis } from 'ioredis'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { formatUsd, toNanoUsd } from '../../src/domain/prices/money.ts'
import { listOf, membersOf } from '../../src/domain/audit/record-members.ts'
import type { AuditRecord } from '../../src/domain/audit/audit-record.ts'
import { nano, settledRecords, standingOf } from '../support/books.ts'
import { runCli } from '../support/cli.ts'
import type { GatewayOptions } from '../support/gateway.ts'
import { startRedisCluster } from '../support/redis-cluster.ts'
import { startRedis } from '../support/redis-server.ts'
import { startSwarm } from '../support/swarm.ts'
import type { Swarm } from '../support/swarm.ts'
import { until } from '../support/until.ts'

const TEAMS = ['dollars', 'tokens', 'requests'] as const
type Team = (typeof TEAMS)[number]

/** A run: how many gateways serve and are killed, and how many calls each budget fits, in the unit that it counts. */
interface Size {
  readonly gateways: number
  readonly kills: number
  readonly fitting: Readonly<Record<Team, number>>
}

const CLIENTS = 1_000
/** Calls in flight, each on a socket of its own. */
const SOCKETS = 48

/** Where the ledger is, and a connection to each server of it. */
interface Store extends AsyncDisposable {
  readonly place: Pick<GatewayOptions, 'redisUrl' | 'clusterNodes'>
  readonly clients: readonly Redis[]
}

let store: Store
let swarm: Swarm

async function oneRedis(): Promise<Store> {
  const redis = await startRedis()
  const client = new Redis(redis.url)
  const stop = async () => {
    client.disconnect()
    await redis.stop()
  }
  return { place: { redisUrl: redis.url }, clients: [client], [Symbol.asyncDispose]: stop }
}

async function oneCluster(): Promise<Store> {
  const cluster = await startRedisCluster()
  const clusterNodes = cluster.nodes.map(({ host, port }) => `${host}:${port}`)
  return { place: { clusterNodes }, clients: cluster.clients, [Symbol.asyncDispose]: () => cluster.stop() }
}

/**
 * What one call is bounded by is what the provider bills for it, so each budget fits a known number of calls. A team's budget
 * and its tenant's places are in two shards, so that on a Cluster each decision has two parts.
 */
const rules = (fitting: Size['fitting']) => (bound: { readonly tokens: number; readonly nanoUsd: bigint }) =>
  `
limits:
  - name: places
    key: [tenant]
    concurrent: 10000
budgets:
  - name: dollars
    match: {team: dollars}
    key: [team]
    limit: {usd: "${formatUsd(toNanoUsd(bound.nanoUsd * BigInt(fitting.dollars)))}", period: lifetime}
  - name: tokens
    match: {team: tokens}
    key: [team]
    limit: {tokens: ${bound.tokens * fitting.tokens}, period: lifetime}
  - name: requests
    match: {team: requests}
    key: [team]
    limit: {requests: ${fitting.requests}, period: lifetime}
`

/** What one call takes of each budget. */
const price = (team: Team) => ({ dollars: swarm.bound.nanoUsd, tokens: BigInt(swarm.bound.tokens), requests: 1n })[team]
const amount = (team: Team, value: unknown) => (team === 'dollars' ? nano(value) : BigInt(Number(value)))

/** Looks at every budget in Redis again and again; answers how often, once it is told to end. */
async function watch(stopped: () => boolean): Promise<{ readonly looks: number; readonly above: readonly string[] }> {
  const above: string[] = []
  let looks = 0
  while (!stopped()) {
    for (const client of store.clients) {
      for (const key of await client.keys('L:*:b:*')) {
        const [settled = 0, held = 0, limit = 0] = (await client.hmget(key, 's', 'r', 'l')).map(Number)
        if (settled + held > limit) above.push(`${key}: ${settled} + ${held} of ${limit}`)
        looks += 1
      }
    }
  }
  return { looks, above }
}

/** Ends and restarts gateways during the run, any of those that serve, never the last one. */
async function killAtRandom({ kills, fitting }: Size): Promise<void> {
  const restarts: Promise<unknown>[] = []
  const total = TEAMS.reduce((sum, team) => sum + fitting[team], 0)
  for (let kill = 1; kill <= kills; kill += 1) {
    await until('the next kill is due and two serve', async () =>
      swarm.answered(200) >= (total * kill) / (kills + 4) && swarm.serving().length > 1 ? true : undefined,
    )
    const serving = swarm.serving()
    const place = serving[Math.floor(Math.random() * serving.length)] ?? 0
    await swarm.kill(place)
    const restart = swarm.restart(place)
    // It is waited for below; until then nobody hears of its failure.
    restart.catch(() => undefined)
    restarts.push(restart)
  }
  await Promise.all(restarts)
}

/** Calls of all clients in turn, until everything is spent or held by calls that nobody answers for any more. */
async function storm(isOver: () => boolean): Promise<void> {
  let turn = 0
  const caller = async () => {
    while (!isOver() || swarm.latest(SOCKETS * 4).some((status) => status !== 429)) {
      turn += 1
      const index = turn % CLIENTS
      await swarm.call({ team: TEAMS[index % TEAMS.length] ?? 'dollars', agent: `c-${1_000 + index}` })
    }
  }
  await Promise.all(Array.from({ length: SOCKETS }, caller))
}

/** What time does to holds whose call died before its decision was on record: their leases run out, and they are charged. */
async function leasesRunOut(): Promise<void> {
  for (const client of store.clients) {
    for (const key of await client.keys('L:*:Z')) {
      for (const id of await client.zrange(key, '0', '-1')) await client.zadd(key, 'XX', 1, id)
    }
  }
  await until('every hold has expired', async () => {
    const leases = await Promise.all(store.clients.map((client) => client.keys('L:*:Z')))
    return leases.flat().length === 0 ? true : undefined
  })
}

/** One call after the other until the budget says that it is spent: what was given back is used up, too. */
async function useUp(team: Team): Promise<void> {
  await until(`the ${team} are spent`, async () =>
    (await swarm.call({ team, agent: 'c-last' })).code === 'insufficient_quota' ? true : undefined,
  )
}

function settledOn(team: Team, records: readonly AuditRecord[]): bigint {
  return records
    .filter((record) => record.type === 'settle')
    .flatMap((record) => listOf(record['bkt']).map((entry) => membersOf(entry)))
    .filter(({ rule }) => rule === team)
    .reduce((sum, { act }) => sum + amount(team, act), 0n)
}

/** Settlements of calls that nobody saw the end of: charged at their bound, whether the provider was asked or not. */
function guessedOn(team: Team, records: readonly AuditRecord[]): number {
  const guessed = records.filter(({ type, out }) => type === 'settle' && (out === 'crash' || out === 'expired'))
  return guessed.filter((record) => listOf(record['bkt']).some((entry) => membersOf(entry)['rule'] === team)).length
}

async function standing(team: Team, rule: string) {
  const [gateway] = swarm.gateways
  if (gateway === undefined) throw new Error('no gateway serves')
  return standingOf(gateway.url, await gateway.token({ team, agent: 'c-last' }), rule)
}

/** Calls of all clients while gateways are killed; then whatever the dead left is accounted for. Answers all records. */
async function run(size: Size): Promise<readonly AuditRecord[]> {
  let isKilled = false
  await Promise.all([storm(() => isKilled), killAtRandom(size).finally(() => (isKilled = true))])
  const dataDirs = () => swarm.gateways.map(({ dataDir }) => dataDir)
  await settledRecords(dataDirs())
  await leasesRunOut()
  // A start looks at once for what has expired; a gateway that goes on looks once a minute.
  for (const place of swarm.serving()) await swarm.restart(place)
  for (const team of TEAMS) await useUp(team)
  return settledRecords(dataDirs())
}

describe.each([
  { on: 'one Redis', open: oneRedis, gateways: 4, kills: 5, fitting: { dollars: 400, tokens: 360, requests: 440 } },
  { on: 'a Cluster', open: oneCluster, gateways: 3, kills: 2, fitting: { dollars: 110, tokens: 90, requests: 130 } },
])('$gateways gateways on $on, 1,000 clients and kill -9 at random', ({ open, ...size }) => {
  beforeEach(async () => {
    store = await open()
    swarm = await startSwarm({ gateways: size.gateways, place: store.place, rules: rules(size.fitting) })
  })
  afterEach(async () => {
    await swarm[Symbol.asyncDispose]()
    await store[Symbol.asyncDispose]()
  })

  it('no budget is ever above its limit, and each ends exactly at it: ledger, logs and provider', async () => {
    let isOver = false
    const running = run(size).finally(() => (isOver = true))
    const [{ looks, above }, records] = await Promise.all([watch(() => isOver), running])
    expect(above).toEqual([])
    expect(looks).toBeGreaterThan(100)
    for (const team of TEAMS) {
      const { used, held } = await standing(team, team)
      const exact = price(team) * BigInt(size.fitting[team])
      const books = { ledger: amount(team, used), held: amount(team, held), logs: settledOn(team, records) }
      expect({ team, ...books }).toEqual({ team, ledger: exact, held: 0n, logs: exact })
      // What the provider billed was charged. What was charged beyond it are calls whose gateway died before it sent them.
      const unsent = size.fitting[team] - swarm.served(team)
      expect(unsent).toBeGreaterThanOrEqual(0)
      expect(unsent).toBeLessThanOrEqual(guessedOn(team, records))
    }
    expect(await standing('dollars', 'places')).toMatchObject({ held: 0 })
    // Kills found calls open: without them the run would show nothing.
    expect(TEAMS.reduce((sum, team) => sum + guessedOn(team, records), 0)).toBeGreaterThan(0)
    for (const { dataDir } of swarm.gateways) {
      expect((await runCli(['audit', 'verify', '--data', dataDir])).code).toBe(0)
    }
  })
})
