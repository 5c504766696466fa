/** A budget whose amount or first minute a roll-out changes while calls are in flight: nodes of both policies share what is left. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { isAdmitted, settledRecords, standingOf } from '../support/books.ts'
import { openStream } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'

/** Room for one of these calls: 2,000 tokens of output and at most 300 bytes of request, and for no seventh in six of it. */
const CALL_TOKENS = 2_300

/** So slow that it stays in flight until its gateway stops. */
const IN_FLIGHT = {
  model: 'sim-small',
  max_tokens: 2_000,
  stream: true,
  messages: [{ role: 'user', content: '[[simulate tokens=2000]]' }],
}

function rules(calls: number, at: string): string {
  const limit = `{tokens: ${CALL_TOKENS * calls}, period: month, at: "${at}"}`
  const budget = `budgets: [{name: shared, key: [tenant, team], limit: ${limit}}]`
  return policySet(budget, '{latency: 0ms, tokensPerSecond: 40}')
}

describe('a budget that nodes on one Redis have of different policies', () => {
  let redis: TestRedis
  const gateways: RunningGateway[] = []

  beforeAll(async () => {
    redis = await startRedis()
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
    await redis.stop()
  })

  async function rollOut(calls: number, at = '00:00'): Promise<RunningGateway> {
    const gateway = await startGateway({ policies: rules(calls, at), redisUrl: redis.url, drainSeconds: 1 })
    gateways.push(gateway)
    return gateway
  }

  /** Opens calls on these nodes in turn, all at once, and answers how many are in flight now. */
  async function open(nodes: readonly RunningGateway[], calls: number): Promise<number> {
    const statuses = await Promise.all(
      Array.from({ length: calls }, async (_, index) => {
        const node = nodes[index % nodes.length]
        if (node === undefined) throw new Error('no node')
        const { status } = await openStream({ url: node.url, token: await node.token(), body: IN_FLIGHT })
        return status
      }),
    )
    expect(new Set(statuses).isSubsetOf(new Set([200, 429]))).toBe(true)
    return statuses.filter((status) => status === 200).length
  }

  const standing = async (node: RunningGateway) => standingOf(node.url, await node.token(), 'shared')

  it('admits as many calls as the newest amount affords, counts those in flight, and ends exact', async () => {
    const first = await rollOut(2)
    expect(await open([first], 6)).toBe(2)

    const raised = await rollOut(5)
    expect(await open([raised], 1)).toBe(1)
    expect(await open([first, raised], 12)).toBe(2)

    const moved = await rollOut(6, '00:01')
    expect(await open([moved, first, raised], 12)).toBe(1)

    const lowered = await rollOut(3)
    expect(await open([lowered], 4)).toBe(0)

    for (const gateway of [first, raised, moved]) await gateway.stop()
    const records = await settledRecords(gateways.map(({ dataDir }) => dataDir))
    expect(records.filter(isAdmitted)).toHaveLength(6)
    const tokens = records
      .filter((record) => record.type === 'settle')
      .map((record) => membersOf(record['use']))
      .map((use) => Number(use['in']) + Number(use['out']))
    expect(tokens).toHaveLength(6)
    expect(await standing(lowered)).toMatchObject({
      limit: CALL_TOKENS * 3,
      used: tokens.reduce((sum, count) => sum + count, 0),
      held: 0,
    })
  })
})
