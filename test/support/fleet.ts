/**
 * Several gateways, each with a data folder of its own, on one store and in front of one provider: what their callers saw and
 * what the provider was asked, for tests in which the store is lost meanwhile.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createStoreNotes } from '../../src/adapters/system/store-notes.ts'
import { settledRecords, standingOf } from './books.ts'
import { post } from './calls.ts'
import { until } from './until.ts'
import { startGateway } from './gateway.ts'
import type { GatewayOptions, RunningGateway } from './gateway.ts'
import { policySet } from './policies.ts'
import { askOf, PROVIDER_KEYS, providerPolicy, startProvider } from './provider.ts'
import { listOf, membersOf } from '../../src/domain/audit/record-members.ts'
import type { AuditRecord } from '../../src/domain/audit/audit-record.ts'

/** What the provider reports for each answer. */
export const TOKENS_PER_CALL = 12

/** Most that one call can take of a budget of tokens: its bytes and its output maximum stay below. */
export const TOKENS_BOUND_MAX = 200

export interface Fleet extends AsyncDisposable {
  readonly gateways: readonly RunningGateway[]
  /** Calls that reached the provider. */
  readonly provided: () => number
  /** Starts the gateway of this place again, on its own data. */
  restart(place: number): Promise<RunningGateway>
  /** One call through the gateway of this place: of the tenants in turn, or of this one. */
  call(place: number, tenant?: string): Promise<Seen>
  readonly tenants: readonly string[]
}

export interface Seen {
  readonly status: number
  /** `error.code` of a refusal. */
  readonly code: string
}

interface FleetOptions extends Pick<GatewayOptions, 'redisUrl' | 'clusterNodes'> {
  readonly size: number
  /** All tenants together. */
  readonly tokens: number
  /** Whose calls are made, each within a share of its own; without it those of one tenant, which has no share. */
  readonly tenants?: readonly string[]
  /** Tokens of each share; as many as all together without it. */
  readonly share?: number
}

/** The purse is in one shard, each tenant's share in another: on a Cluster a decision has two parts. */
function rules({ tokens, tenants, share = tokens }: FleetOptions): string {
  const purse = `
budgets:
  - name: purse
    key: [agent]
    limit: {tokens: ${tokens}, period: lifetime}
`
  if (tenants === undefined) return purse
  return `${purse}  - name: share
    key: [tenant]
    limit: {tokens: ${share}, period: lifetime}
`
}

export async function startFleet(options: FleetOptions): Promise<Fleet> {
  const { size, redisUrl, clusterNodes, tenants = ['acme'] } = options
  const provider = await startProvider()
  const base = policySet(rules(options))
  const policies = `${base.slice(0, base.indexOf('upstreams:'))}${providerPolicy(provider).trim()}\n${base.slice(base.indexOf('access:'))}`
  const settings = {
    policies,
    env: PROVIDER_KEYS,
    ...(redisUrl !== undefined && { redisUrl }),
    ...(clusterNodes !== undefined && { clusterNodes }),
  }
  const gateways: RunningGateway[] = []
  const tokens = new Map<string, string>()
  let calls = 0
  const start = async (place: number, dir?: string) => {
    const gateway = await startGateway({ ...settings, ...(dir !== undefined && { dir }) })
    gateways[place] = gateway
    for (const tenant of tenants) tokens.set(`${place} ${tenant}`, await gateway.token({ tenant }))
    return gateway
  }
  for (let place = 0; place < size; place += 1) await start(place)
  return {
    gateways,
    tenants,
    provided: () => provider.seen.length,
    async restart(place) {
      return start(place, gateways[place]?.dir)
    },
    async call(place, tenant = tenants[(calls += 1) % tenants.length]) {
      const url = gateways[place]?.url ?? ''
      const response = await post({ url, token: tokens.get(`${place} ${tenant}`) ?? '', body: askOf('openai') })
      return { status: response.status, code: codeOf(await response.text()) }
    },
    async [Symbol.asyncDispose]() {
      for (const gateway of gateways) {
        await gateway.kill()
        await rm(gateway.dir, { recursive: true, force: true })
      }
      await provider[Symbol.asyncDispose]()
    },
  }
}

function codeOf(text: string): string {
  return /"code":\s*"([a-z_]+)"/.exec(text)?.[1] ?? ''
}

/** Calls through all gateways as fast as they are answered, until `enough` says so of what was seen; answers all of it. */
export async function load(
  fleet: Fleet,
  callers: number,
  enough: (seen: readonly Seen[]) => boolean,
): Promise<readonly Seen[]> {
  const seen: Seen[] = []
  const caller = async (place: number) => {
    while (!enough(seen)) seen.push(await fleet.call(place).catch(() => ({ status: 0, code: 'no_connection' })))
  }
  await Promise.all(Array.from({ length: callers }, (_, index) => caller(index % fleet.gateways.length)))
  return seen
}

export const count = (seen: readonly Seen[], status: number) => seen.filter((one) => one.status === status).length

/** Tokens that the logs say were settled on a rule. */
function tokensIn(records: readonly AuditRecord[], name: string): number {
  return records
    .filter((record) => record.type === 'settle')
    .flatMap((record) => listOf(record['bkt']).map((entry) => membersOf(entry)))
    .filter(({ rule }) => rule === name)
    .reduce((sum, { act }) => sum + Number(act), 0)
}

/** The sums of the three books once everything is settled and nothing is held: logs, ledger as a gateway tells it, provider. */
export async function books(fleet: Fleet, place = 0) {
  const records = await settledRecords(fleet.gateways.map(({ dataDir }) => dataDir))
  const gateway = fleet.gateways[place]
  if (gateway === undefined) throw new Error(`no gateway ${place}`)
  const token = await gateway.token()
  const { used, held } = await until('the ledger has heard of every settlement', async () => {
    const standing = await standingOf(gateway.url, token, 'purse')
    return Number(standing.held) === 0 ? standing : undefined
  })
  return {
    log: tokensIn(records, 'purse'),
    ledger: Number(used),
    held: Number(held),
    provider: fleet.provided() * TOKENS_PER_CALL,
  }
}

/** What each tenant's share sums to, in the logs and in the ledger, once nothing is under way. */
export async function shares(fleet: Fleet, place = 0) {
  const dirs = fleet.gateways.map(({ dataDir }) => dataDir)
  const gateway = fleet.gateways[place]
  if (gateway === undefined) throw new Error(`no gateway ${place}`)
  const found: { readonly tenant: string; readonly log: number; readonly ledger: number }[] = []
  for (const tenant of fleet.tenants) {
    const { used } = await standingOf(gateway.url, await gateway.token({ tenant }), 'share')
    found.push({ tenant, log: tokensIn(await settledRecords(dirs, { tenant }), 'share'), ledger: Number(used) })
  }
  return found
}

/** Waits until each gateway remembers all of them: from then on a rebuild waits for each. */
export async function acquainted(fleet: Fleet): Promise<void> {
  for (const { dataDir } of fleet.gateways) {
    const dir = join(dataDir, 'ledger')
    await until('a gateway remembers all others', async () => {
      const name = (await readdir(dir)).find((one) => one.endsWith('.json')) ?? ''
      const memory = await createStoreNotes(join(dir, name)).read()
      return memory?.peers.length === fleet.gateways.length ? true : undefined
    })
  }
}
