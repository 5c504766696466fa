/**
 * The servers of a Cluster and the connections to them. What the map says of a slot is a hint: the server itself says when
 * it has moved. The map is read anew when it was wrong, and when a server fails, since a replica may have its slots by then.
 */
import { LedgerUnavailable, faultOf } from '../../../domain/failures.ts'
import type { Argument, Command } from './client.ts'
import { Redirected } from './redirection.ts'
import type { Endpoint } from './redirection.ts'
import type { Script } from '../scripts.ts'
import { addressOf, readSlotMap } from './slot-map.ts'
import type { SlotMap } from './slot-map.ts'

/** Shortest pause between two readings of the map: a failover takes seconds, and every call may ask for one. */
const READ_PAUSE_MS = 200

/** Servers that are asked for the map at once: the first answer counts, and one of them is likely to live. */
const ASKED_MAX = 5

/** Answers after which the map is not in doubt: the server that has the slot refused for reasons of its own. */
const CERTAIN: ReadonlySet<string> = new Set([
  'out_of_memory',
  'cannot_persist',
  'no_replicas',
  'busy',
  'moving',
  'unexpected',
])

/** One server: what the Cluster needs of its connection. */
export interface Node extends AsyncDisposable {
  /** `asking`: the slot is on its way to this server. */
  evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    options: { readonly asking: boolean },
  ): Promise<unknown>
  read(commands: readonly Command[], options?: { readonly asking: boolean }): Promise<readonly unknown[]>
}

export class Topology implements AsyncDisposable {
  readonly #seeds: readonly Endpoint[]
  readonly #connect: (endpoint: Endpoint) => Node
  /** By address; those that have no slot any more are closed at the next reading. */
  readonly #nodes = new Map<string, { readonly endpoint: Endpoint; readonly node: Node }>()
  #map: SlotMap | undefined
  /** One reading at a time, shared by all who wait for it. */
  #reading: Promise<SlotMap> | undefined
  #readAtMs = -Infinity
  #isClosed = false

  constructor(seeds: readonly Endpoint[], connect: (endpoint: Endpoint) => Node) {
    this.#seeds = seeds
    this.#connect = connect
  }

  /** The server of each slot, as it is known now. */
  async lookUp(): Promise<(slot: number) => Node> {
    if (this.#map === undefined) await this.#readMap()
    return (slot) => this.#nodeOf(slot)
  }

  #nodeOf(slot: number): Node {
    if (this.#isClosed) {
      throw new LedgerUnavailable('Redis: connection is closed', { fault: 'connection_lost', maybeDone: false })
    }
    const owner = this.#map?.ownerOf(slot)
    if (owner !== undefined) return this.#nodeAt(owner)
    this.#doubt()
    throw new LedgerUnavailable(`Redis: no server has slot ${slot}`, { fault: 'cluster_down', maybeDone: false })
  }

  /** The server that `from` named. A moved slot is moved for everybody. */
  follow(from: Node, { to, slot, isAsk }: Redirected): Node {
    const host = to.host === '' ? this.#endpointOf(from)?.host : to.host
    const endpoint = { host: host ?? '', port: to.port }
    if (!isAsk) {
      this.#map?.own(slot, endpoint)
      this.#doubt()
    }
    return this.#nodeAt(endpoint)
  }

  /** Hands an error on, and reads the map anew when it may be wrong. */
  noticing(error: unknown): unknown {
    if (!CERTAIN.has(faultOf(error)) || error instanceof Redirected) this.#doubt()
    return error
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isClosed = true
    await Promise.all([...this.#nodes.values()].map(({ node }) => node[Symbol.asyncDispose]()))
  }

  #endpointOf(node: Node): Endpoint | undefined {
    return [...this.#nodes.values()].find((entry) => entry.node === node)?.endpoint
  }

  #nodeAt(endpoint: Endpoint): Node {
    const address = addressOf(endpoint)
    const known = this.#nodes.get(address)
    if (known !== undefined) return known.node
    const node = this.#connect(endpoint)
    this.#nodes.set(address, { endpoint, node })
    return node
  }

  /** Nobody waits for it: the next call finds the new map. */
  #doubt(): void {
    if (this.#isClosed || performance.now() - this.#readAtMs < READ_PAUSE_MS) return
    this.#readMap().catch(() => undefined)
  }

  #readMap(): Promise<SlotMap> {
    this.#readAtMs = performance.now()
    this.#reading ??= this.#askForMap().finally(() => (this.#reading = undefined))
    return this.#reading
  }

  async #askForMap(): Promise<SlotMap> {
    const asked = this.#someEndpoints()
    const answers = asked.map(async (endpoint) => {
      const [reply] = await this.#nodeAt(endpoint).read([['CLUSTER', 'SLOTS']])
      return readSlotMap(reply, endpoint)
    })
    try {
      const map = await Promise.any(answers)
      this.#map = map
      await this.#closeStrangers(map)
      return map
    } catch (error) {
      // The seeds are the configuration's: what one of them says names the mistake.
      throw error instanceof AggregateError ? error.errors[0] : error
    }
  }

  /** Some that are known, and always a seed: an address that everybody forgot may be all that is left. */
  #someEndpoints(): readonly Endpoint[] {
    const known = [...this.#nodes.values()].map(({ endpoint }) => endpoint)
    const all = new Map([...shuffled(this.#seeds).slice(0, 2), ...shuffled(known)].map((one) => [addressOf(one), one]))
    return this.#map === undefined ? this.#seeds : [...all.values()].slice(0, ASKED_MAX)
  }

  async #closeStrangers(map: SlotMap): Promise<void> {
    const owners = map.owners()
    const strangers = [...this.#nodes].filter(([address]) => !owners.has(address))
    for (const [address] of strangers) this.#nodes.delete(address)
    await Promise.all(strangers.map(([, { node }]) => node[Symbol.asyncDispose]()))
  }
}

function shuffled<Item>(items: readonly Item[]): readonly Item[] {
  return items
    .map((item) => ({ item, at: Math.random() }))
    .toSorted((a, b) => a.at - b.at)
    .map(({ item }) => item)
}
