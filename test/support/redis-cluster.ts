/**
 * A real Redis Cluster of its own for a test: three primaries on loopback, the slots in three ranges, gone with the test.
 */
import { Redis } from 'ioredis'

import { freePort, startRedis } from './redis-server.ts'
import type { TestRedis } from './redis-server.ts'
import { until } from './until.ts'

export interface TestCluster extends AsyncDisposable {
  readonly primaries: readonly TestRedis[]
  /** A replica of the first primary, when it was asked for. */
  readonly replica: TestRedis | undefined
  /** One connection to each primary, in their order. */
  readonly clients: readonly Redis[]
  /** As a ledger is configured. */
  readonly nodes: readonly { readonly host: string; readonly port: number }[]
  stop(): Promise<void>
}

/** First slots of the primaries, and one past the last. */
const RANGES = [0, 5_461, 10_923, 16_384] as const

/** Which of the primaries has a slot at the start. */
export function primaryOf(slot: number): number {
  return RANGES.findLastIndex((first) => first <= slot)
}

/** A primary that is silent for this long is replaced by its replica, in milliseconds. */
const NODE_TIMEOUT_MS = 1_000

interface Member extends TestRedis {
  readonly busPort: number
}

async function startMember(): Promise<Member> {
  // The bus has a port of its own: by default 10,000 above, which need not exist.
  const busPort = await freePort()
  const server = await startRedis({
    args: Object.entries({
      '--cluster-enabled': 'yes',
      '--cluster-config-file': 'nodes.conf',
      '--cluster-port': `${busPort}`,
      '--cluster-node-timeout': `${NODE_TIMEOUT_MS}`,
      '--cluster-replica-validity-factor': '0',
    }).flat(),
  })
  return { ...server, busPort }
}

async function formCluster(members: readonly Member[], clients: readonly Redis[], primaries: number): Promise<void> {
  for (const [index, client] of clients.entries()) await client.call('CLUSTER', 'SET-CONFIG-EPOCH', index + 1)
  for (const [index, client] of clients.slice(0, primaries).entries()) {
    await client.call('CLUSTER', 'ADDSLOTSRANGE', RANGES[index] ?? 0, (RANGES[index + 1] ?? 0) - 1)
  }
  for (const { port, busPort } of members.slice(1)) {
    await clients[0]?.call('CLUSTER', 'MEET', '127.0.0.1', port, busPort)
  }
  for (const client of clients) await until('every server knows the others', () => knows(client, members.length))
}

async function knows(client: Redis, members: number): Promise<true | undefined> {
  const nodes = String(await client.call('CLUSTER', 'NODES'))
  const lines = nodes.split('\n').filter((line) => line.includes('connected') && !line.includes('handshake'))
  return lines.length === members ? true : undefined
}

async function isUp(client: Redis, ranges: number): Promise<true | undefined> {
  const info = String(await client.call('CLUSTER', 'INFO'))
  const slots = await client.call('CLUSTER', 'SLOTS')
  return info.includes('cluster_state:ok') && Array.isArray(slots) && slots.length === ranges ? true : undefined
}

async function replicate(primary: Redis, replica: Redis): Promise<void> {
  await replica.call('CLUSTER', 'REPLICATE', String(await primary.call('CLUSTER', 'MYID')))
  await until('the replica has caught up', async () =>
    (await replica.info('replication')).includes('master_link_status:up') ? true : undefined,
  )
}

export async function startRedisCluster(options: { readonly withReplica?: boolean } = {}): Promise<TestCluster> {
  const count = RANGES.length - 1
  const size = options.withReplica === true ? count + 1 : count
  const members: Member[] = []
  const clients: Redis[] = []
  const stop = async () => {
    for (const client of clients) client.disconnect()
    await Promise.all(members.map((member) => member.stop()))
  }
  try {
    for (let index = 0; index < size; index += 1) members.push(await startMember())
    // A server that a test kills ends its connection with an error that the test expects.
    for (const { url } of members) clients.push(new Redis(url).on('error', () => undefined))
    await formCluster(members, clients, count)
    const [first, last] = [clients[0], clients[count]]
    if (first !== undefined && last !== undefined) await replicate(first, last)
    for (const client of clients) await until('the cluster is up', () => isUp(client, count))
  } catch (error) {
    await stop()
    throw error
  }
  const primaries = members.slice(0, count)
  return {
    primaries,
    replica: members[count],
    clients: clients.slice(0, count),
    nodes: members.map(({ port }) => ({ host: '127.0.0.1', port })),
    stop,
    [Symbol.asyncDispose]: stop,
  }
}
