/**
 * The connection to a Redis Cluster: one connection to each primary, each with its own bounds and its own breaker, so that a
 * primary that is down costs the shards of others nothing.
 *
 * ioredis has a Cluster client. It sends a command that failed to servers picked at random, up to sixteen times and long
 * after its caller has given up, and does not say whether it was sent. Here a command goes to the server that has its
 * keys, follows what that server says, and ends within its bound.
 */
import type { Argument, Command, RedisCommands, Store } from './client.ts'
import { ALL_SHARDS, tagOf } from '../keys.ts'
import { whole } from '../parts/parts.ts'
import { Redirected } from './redirection.ts'
import type { Endpoint } from './redirection.ts'
import type { Script } from '../scripts.ts'
import { slotOf } from './slot.ts'
import { Topology } from './topology.ts'
import type { Node } from './topology.ts'

/** Times that one command follows to another server: a failover or a moved slot needs one, both at once two. */
const REDIRECTIONS_MAX = 3

/** Commands that are sent before the event loop goes on with other things. */
const COMMANDS_PER_TURN = 128

const SHARD_SLOTS: readonly number[] = ALL_SHARDS.map((shard) => slotOf(tagOf(shard)))

type Run<Answer> = (node: Node, options: { readonly asking: boolean }) => Promise<Answer>

export class RedisCluster implements RedisCommands {
  readonly isSlotted = true
  readonly #topology: Topology

  constructor(seeds: readonly Endpoint[], connect: (endpoint: Endpoint) => Node) {
    this.#topology = new Topology(seeds, connect)
  }

  async stores(): Promise<readonly Store[]> {
    const nodeOf = await this.#topology.lookUp()
    const byNode = Map.groupBy(ALL_SHARDS, (shard) => nodeOf(SHARD_SLOTS[shard] ?? 0))
    return [...byNode.values()].map((shards) => ({ representative: shards[0] ?? 0, shards }))
  }

  async evaluate(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown> {
    return this.#routed(slotOf(keys[0] ?? ''), (node, options) => node.evaluate(script, keys, args, options))
  }

  async readAt(shard: number, commands: readonly Command[]): Promise<readonly unknown[]> {
    return this.#routed(SHARD_SLOTS[shard] ?? 0, (node) => node.read(commands))
  }

  async read(commands: readonly Command[]): Promise<readonly unknown[]> {
    const answers: unknown[] = []
    for (let from = 0; from < commands.length; from += COMMANDS_PER_TURN) {
      answers.push(...(await this.#readTogether(commands.slice(from, from + COMMANDS_PER_TURN))))
    }
    return answers
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#topology[Symbol.asyncDispose]()
  }

  async #readTogether(commands: readonly Command[]): Promise<readonly unknown[]> {
    const nodeOf = await this.#topology.lookUp()
    const asked = commands.map((command, place) => ({ command, place, slot: slotOf(String(command[1])) }))
    const reads = [...Map.groupBy(asked, ({ slot }) => nodeOf(slot))].map(async ([node, group]) => ({
      part: { places: group.map(({ place }) => place) },
      values: await this.#readFrom(node, group),
    }))
    return whole(await Promise.all(reads))
  }

  /** All from one server in one go; if it does not have them all any more, each goes its own way. */
  async #readFrom(
    node: Node,
    asked: readonly { readonly slot: number; readonly command: Command }[],
  ): Promise<readonly unknown[]> {
    try {
      return await node.read(asked.map(({ command }) => command))
    } catch (error) {
      if (!(error instanceof Redirected)) throw this.#topology.noticing(error)
      const ways = asked.map(({ slot, command }) =>
        this.#routed(slot, (other, options) => other.read([command], options)),
      )
      return (await Promise.all(ways)).flat()
    }
  }

  /** Runs on the server that has the slot, and goes where that one says. */
  async #routed<Answer>(slot: number, run: Run<Answer>): Promise<Answer> {
    let node = (await this.#topology.lookUp())(slot)
    let asking = false
    for (let followed = 0; ; followed += 1) {
      try {
        return await run(node, { asking })
      } catch (error) {
        if (!(error instanceof Redirected) || followed >= REDIRECTIONS_MAX) throw this.#topology.noticing(error)
        node = this.#topology.follow(node, error)
        asking = error.isAsk
      }
    }
  }
}
