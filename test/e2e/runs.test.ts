/** Runs of agents through the real gateway: what one run may use, who can use it, and what a caller hears of it. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { membersOf } from '../../src/domain/audit/record-members.ts'
import { isAdmitted, recordsOf, settledRecords } from '../support/books.ts'
import type { Standing } from '../support/books.ts'
import { chat } from '../support/calls.ts'
import { startGateway } from '../support/gateway.ts'
import type { RunningGateway } from '../support/gateway.ts'
import { policySet } from '../support/policies.ts'
import { startRedis } from '../support/redis-server.ts'
import type { TestRedis } from '../support/redis-server.ts'
import { until } from '../support/until.ts'

const CALLS = 20
const FITTING = 7

/** The simulator writes the whole maximum, so a call takes 1 to 1,000 tokens more than that, by its input alone. */
const ASK = chat('tokens=2000', { max_tokens: 2_000 })
const TOKENS = 2_000 * 3 + 1_500

/** Short, and still far above what the calls before its end take. */
const SPAN_MS = 3_000

const POLICY = policySet(`
runs:
  - {name: calls, match: {agent: [counted, other, child]}, limit: {requests: ${FITTING}}}
  - {name: tokens, match: {agent: tokens}, limit: {tokens: ${TOKENS}}}
  - {name: dollars, match: {agent: dollars}, limit: {usd: "0.000000001"}}
  - {name: time, match: {agent: timed}, limit: {duration: ${SPAN_MS / 1_000}s, requests: 1000}}
`).replace('builtin: true}', 'builtin: true, runHeader: true}')

interface Caller {
  readonly gateway: RunningGateway
  readonly token: string
  readonly run?: string
}

function call({ gateway, token, run }: Caller, body: object = chat('tokens=2')): Promise<Response> {
  const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
  return fetch(`${gateway.url}/v1/chat/completions`, {
    method: 'POST',
    headers: run === undefined ? headers : { ...headers, 'x-tollgate-run': run },
    body: JSON.stringify(body),
  })
}

async function statusOf(caller: Caller, body?: object): Promise<number> {
  const response = await call(caller, body)
  await response.arrayBuffer()
  return response.status
}

async function errorOf(response: Response): Promise<Readonly<Record<string, unknown>>> {
  // The shape is the dialect's own; the tests of refusals hold it.
  const { error } = (await response.json()) as { readonly error: Readonly<Record<string, unknown>> }
  return error
}

async function standings({
  gateway,
  token,
  run,
}: Caller): Promise<readonly (Standing & { readonly subject: string })[]> {
  const headers = { authorization: `Bearer ${token}`, ...(run !== undefined && { 'x-tollgate-run': run }) }
  const response = await fetch(`${gateway.url}/v1/limits`, { headers })
  // The shape is the route's own; the tests of routes hold it.
  const { data } = (await response.json()) as { readonly data: readonly (Standing & { readonly subject: string })[] }
  return data
}

const admitted = (statuses: readonly number[]) => statuses.filter((status) => status === 200).length

function holdsRuns(gateways: () => readonly RunningGateway[]): void {
  const [first, last] = [() => gateways()[0], () => gateways().at(-1)]
  const caller = async (agent: string, run?: string, from = first): Promise<Caller> => {
    const gateway = from()
    if (gateway === undefined) throw new Error('no gateway runs')
    return { gateway, token: await gateway.token({ agent }), ...(run !== undefined && { run }) }
  }

  it(`an agent that loops ${CALLS} times in a run of ${FITTING} calls gets ${FITTING}, and hears that the run is used up`, async () => {
    const who = await caller('counted', 'loop')
    const statuses: number[] = []
    for (let turn = 0; turn < CALLS; turn += 1) statuses.push(await statusOf(who))
    expect(statuses).toEqual([...Array<number>(FITTING).fill(200), ...Array<number>(CALLS - FITTING).fill(429)])
    const refused = await call(who)
    expect(refused.headers.get('x-should-retry')).toBe('false')
    expect(refused.headers.get('retry-after')).toBeNull()
    expect(await errorOf(refused)).toMatchObject({
      code: 'insufficient_quota',
      rule: 'calls',
      subject: 'acme,counted,loop',
      used: '7',
      limit: '7',
      message: expect.stringContaining('7 of 7 requests used, this call needs 1. It does not reset.'),
    })
  })

  it(`${CALLS} calls of one run at once: ${FITTING} are admitted, on however many nodes`, async () => {
    const nodes = await Promise.all([caller('counted', 'storm', first), caller('counted', 'storm', last)])
    const statuses = await Promise.all(
      Array.from({ length: CALLS }, (_, index) => statusOf(nodes[index % nodes.length] ?? nodes[0])),
    )
    expect(admitted(statuses)).toBe(FITTING)
    const records = (
      await settledRecords(
        gateways().map(({ dataDir }) => dataDir),
        { agent: 'counted' },
      )
    ).filter((record) => membersOf(record['act'])['run'] === 'storm')
    expect(records.filter(isAdmitted)).toHaveLength(FITTING)
    const { gateway, token } = nodes[0]
    expect(await standings({ gateway, token })).toEqual([])
    expect(await standings(nodes[1])).toMatchObject([
      { rule: 'calls', used: FITTING, held: 0, remaining: 0, resets_at: null },
    ])
  })

  it('a run never takes more tokens than it has', async () => {
    const who = await caller('tokens', 'r')
    const statuses: number[] = []
    for (let turn = 0; turn < 6; turn += 1) statuses.push(await statusOf(who, ASK))
    expect(statuses).toEqual([200, 200, 200, 429, 429, 429])
    const [standing] = await standings(who)
    expect(Number(standing?.used)).toBeGreaterThan(6_000)
    expect(Number(standing?.used)).toBeLessThanOrEqual(TOKENS)
  })

  it('a run without the money for a call gets none', async () => {
    const refused = await call(await caller('dollars', 'r'))
    expect(refused.status).toBe(429)
    expect(await errorOf(refused)).toMatchObject({ code: 'insufficient_quota', rule: 'dollars', unit: 'usd' })
  })

  it('a run is over when its time is, from its first call on, and stays over', async () => {
    const who = await caller('timed', 'r')
    expect(await standings(who)).toMatchObject([{ unit: 'requests' }, { unit: 'ms', used: 0, limit: SPAN_MS }])
    expect(await statusOf(who)).toBe(200)
    const refused = await until('the run is over', async () => {
      const response = await call(who)
      return response.status === 429 ? response : undefined
    })
    const error = await errorOf(refused)
    expect(error).toMatchObject({ code: 'insufficient_quota', rule: 'time', unit: 'ms', limit: String(SPAN_MS) })
    expect(Number(error['used'])).toBeGreaterThanOrEqual(SPAN_MS)
    expect(error['message']).toContain('the run is over')
    expect(await statusOf(who)).toBe(429)
    expect(await statusOf({ ...who, run: 'r2' })).toBe(200)
  })

  it('children use up their parent, which the refusal names, and siblings do not use up each other', async () => {
    const who = await caller('child')
    const statuses: number[] = []
    for (let turn = 0; turn < CALLS; turn += 1) statuses.push(await statusOf({ ...who, run: `parent/kid-${turn % 4}` }))
    expect(admitted(statuses)).toBe(FITTING)
    const refused = await call({ ...who, run: 'parent/kid-9/deep' })
    expect(await errorOf(refused)).toMatchObject({ rule: 'calls', subject: 'acme,child,parent' })
    expect(await standings({ ...who, run: 'parent/kid-0' })).toMatchObject([
      { subject: 'acme,child,parent', used: FITTING },
      { subject: 'acme,child,parent/kid-0', used: 2 },
    ])
    expect(await statusOf({ ...who, run: 'another' })).toBe(200)
  })

  it('another agent of the same name of run neither uses it up nor gets anything from it', async () => {
    const [one, other] = [await caller('counted', 'shared'), await caller('other', 'shared')]
    for (let turn = 0; turn < FITTING; turn += 1) expect(await statusOf(one)).toBe(200)
    expect(await statusOf(one)).toBe(429)
    expect(await standings(other)).toMatchObject([{ subject: 'acme,other,shared', used: 0 }])
    expect(await statusOf(other)).toBe(200)
    // A name made to look like somebody else's key is a name that no run has.
    expect(await statusOf({ ...other, run: 'x,counted,shared' })).toBe(400)
    expect(await statusOf(one)).toBe(429)
  })

  it('a call that names no run, where a rule counts by run, is refused and not left uncounted', async () => {
    const refused = await call(await caller('counted'))
    expect(refused.status).toBe(403)
    expect(await errorOf(refused)).toMatchObject({ code: 'identity_incomplete' })
  })

  it('the run of a token stays: only a child of it can be named', async () => {
    const who = await caller('counted')
    const token = await who.gateway.token({ agent: 'counted', claims: { run: 'claimed' } })
    expect(await statusOf({ ...who, token })).toBe(200)
    expect(await statusOf({ ...who, token, run: 'claimed' })).toBe(200)
    expect(await statusOf({ ...who, token, run: 'claimed/kid' })).toBe(200)
    const refused = await call({ ...who, token, run: 'elsewhere' })
    expect(refused.status).toBe(400)
    expect(await errorOf(refused)).toMatchObject({
      param: 'x-tollgate-run',
      message: expect.stringContaining('another run'),
    })
    expect(await standings({ ...who, token })).toMatchObject([{ subject: 'acme,counted,claimed', used: 3 }])
  })

  it.each(['a b', 'a//b', '', 'x'.repeat(65), 'a/b/c/d/e/f/g/h/i', '<script>'])(
    'a header that names no run (%j) is refused, on record, and in no log',
    async (run) => {
      const who = await caller('counted', run)
      const refused = await call(who)
      expect(refused.status).toBe(400)
      const error = await errorOf(refused)
      expect(error).toMatchObject({ param: 'x-tollgate-run' })
      const id = refused.headers.get('x-request-id') ?? ''
      const [record] = await recordsOf(who.gateway.dataDir, { id })
      expect(record).toMatchObject({ type: 'auth_failed', dec: { field: 'x-tollgate-run', reason: 'run_malformed' } })
      // One that is a few characters long may stand in any text.
      const seen = [JSON.stringify([record, error]), who.gateway.log()].filter((text) => text.includes(run))
      expect(run.length > 3 && seen.length > 0).toBe(false)
    },
  )
}

describe('one gateway on the memory ledger', () => {
  let gateway: RunningGateway
  beforeAll(async () => {
    gateway = await startGateway({ policies: POLICY })
  })
  afterAll(async () => {
    await gateway[Symbol.asyncDispose]()
  })

  holdsRuns(() => [gateway])

  it('gives a restarted gateway its runs back: what was used, and when they began', async () => {
    const [timed, counted] = [{ agent: 'timed' }, { agent: 'counted' }]
    const at = async (running: RunningGateway, request: object, run: string) => ({
      gateway: running,
      token: await running.token(request),
      run,
    })
    expect(await statusOf(await at(gateway, timed, 'r'))).toBe(429)
    const before = await standings(await at(gateway, counted, 'loop'))
    expect(before).toMatchObject([{ used: FITTING }])
    await gateway.kill()
    await using again = await startGateway({ policies: POLICY, dir: gateway.dir })
    expect(await standings(await at(again, counted, 'loop'))).toEqual(before)
    expect(await statusOf(await at(again, counted, 'loop'))).toBe(429)
    const over = await call(await at(again, timed, 'r'))
    expect(await errorOf(over)).toMatchObject({ rule: 'time', unit: 'ms' })
  })
})

describe('two gateways on one Redis', () => {
  let redis: TestRedis
  let gateways: readonly RunningGateway[]
  beforeAll(async () => {
    redis = await startRedis()
    gateways = await Promise.all([1, 2].map(() => startGateway({ policies: POLICY, redisUrl: redis.url })))
  })
  afterAll(async () => {
    for (const gateway of gateways) await gateway[Symbol.asyncDispose]()
    await redis.stop()
  })

  holdsRuns(() => gateways)
})

describe('an issuer that does not allow it', () => {
  it('has no caller that names its run', async () => {
    await using gateway = await startGateway({ policies: POLICY.replace(', runHeader: true', '') })
    const token = await gateway.token({ agent: 'counted' })
    const refused = await call({ gateway, token, run: 'r' })
    expect(refused.status).toBe(400)
    expect(await errorOf(refused)).toMatchObject({
      param: 'x-tollgate-run',
      message: expect.stringContaining('runHeader'),
    })
  })
})
