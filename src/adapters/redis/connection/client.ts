/**
 * The connection to one Redis. Every call answers or fails within a bound: nothing is queued while the connection is
 * away, each command has a timeout, and a breaker spares the callers the timeouts of a store that is down.
 *
 * A failed call may have been executed. ioredis also sends a command again that was under way when a connection broke;
 * the scripts are idempotent by reservation id, so twice is as good as once.
 */
import type { Redis } from 'ioredis'

import { LedgerUnavailable } from '../../../domain/failures.ts'
import { AnswerBound } from './answer-bound.ts'
import { createBreaker } from './breaker.ts'
import { ALL_SHARDS } from '../keys.ts'
import { redirectionOf } from './redirection.ts'
import { isReply, unavailable, wasNeverSent } from './redis-fault.ts'
import type { Script } from '../scripts.ts'

export type Argument = string | number

export type Command = readonly [name: string, ...args: Argument[]]

/** A server that takes writes, and the shards that it has. */
export interface Store {
  /** Any one of its shards: keys of this shard lead to this server. */
  readonly representative: number
  readonly shards: readonly number[]
}

/** What the ledger needs of Redis; a Cluster can stand behind it. */
export interface RedisCommands extends AsyncDisposable {
  /** Whether a command may name the keys of one shard alone, because shards are in slots of their own. */
  readonly isSlotted: boolean
  /** The servers as they are known now. One Redis is one store with all shards. */
  stores(): Promise<readonly Store[]>
  /** Runs a script where its keys are. One that must be loaded there and is not is refused with the fault `unverified`. */
  evaluate(script: Script, keys: readonly string[], args: readonly Argument[]): Promise<unknown>
  /** Reads, each where its first key is, sent together and answered in order; not one atomic step. */
  read(commands: readonly Command[]): Promise<readonly unknown[]>
  /** Commands without keys, or with keys of this shard, at the server that has the shard. */
  readAt(shard: number, commands: readonly Command[]): Promise<readonly unknown[]>
}

/** Bound of TCP and TLS connect, and of the first call's wait for it at start. */
export const CONNECT_TIMEOUT_MS = 2_000

/** The slot of these keys is on its way to this server, which answers for it only when it is told so. */
interface Asking {
  readonly asking?: boolean
}

export class OneRedis implements RedisCommands {
  readonly isSlotted = false
  readonly #redis: Redis
  readonly #commandTimeoutMs: number
  readonly #bound: AnswerBound
  readonly #breaker = createBreaker(() => performance.now())
  /** One wait for the connection, shared by all calls that come while it is away. */
  #ready: Promise<void> | undefined
  #wasReady = false
  /** Why the last call or attempt to connect failed: it says more than "not connected". */
  #lastFailure: LedgerUnavailable | undefined
  /** Connections so far. A command that met more than one may have been sent twice. */
  #connections = 0

  constructor(redis: Redis, commandTimeoutMs: number) {
    this.#redis = redis
    this.#commandTimeoutMs = commandTimeoutMs
    this.#bound = new AnswerBound(commandTimeoutMs)
    redis.on('error', (error) => (this.#lastFailure = unavailable(error, { wasSent: false })))
    redis.on('ready', () => {
      this.#wasReady = true
      this.#connections += 1
      this.#lastFailure = undefined
    })
    // A connection that ends tells no error of its own; one that never began told one.
    redis.on(
      'close',
      () => (this.#lastFailure ??= new LedgerUnavailable('connection lost', { fault: 'connection_lost' })),
    )
  }

  async stores(): Promise<readonly Store[]> {
    return [{ representative: 0, shards: ALL_SHARDS }]
  }

  async evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    options: Asking = {},
  ): Promise<unknown> {
    return this.#guarded(() => this.#evaluate(script, keys, args, options))
  }

  async read(commands: readonly Command[], options: Asking = {}): Promise<readonly unknown[]> {
    return this.#guarded(() => this.#bound.within(Promise.all(commands.map((command) => this.#call(command, options)))))
  }

  async readAt(_shard: number, commands: readonly Command[]): Promise<readonly unknown[]> {
    return this.read(commands)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#redis.disconnect()
  }

  /** Redis forgets scripts when it restarts; then the text itself is sent, once for each call under way. */
  async #evaluate(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    options: Asking,
  ): Promise<unknown> {
    const run = (command: string, name: string) =>
      this.#bound.within(this.#call([command, name, keys.length, ...keys, ...args], options))
    try {
      return await run('evalsha', script.sha)
    } catch (error) {
      if (script.onlyWhereLoaded === true || !isReply(error) || !error.message.startsWith('NOSCRIPT')) throw error
      return await run('eval', script.text)
    }
  }

  #call([name, ...args]: Command, { asking = false }: Asking): Promise<unknown> {
    // Written at once and in this order: ASKING is meant for the next command of its connection.
    if (asking) this.#redis.asking().catch(() => undefined)
    return this.#redis.call(name, args)
  }

  async #guarded<Result>(call: () => Promise<Result>): Promise<Result> {
    if (!this.#breaker.admits()) throw this.#spared()
    let connection: number | undefined
    try {
      await this.#untilReady()
      connection = this.#connections
      const result = await call()
      this.#breaker.succeeded()
      this.#lastFailure = undefined
      return result
    } catch (error) {
      const redirection = isReply(error) ? redirectionOf(error) : undefined
      if (isReply(error)) this.#breaker.succeeded()
      else this.#breaker.failed()
      if (redirection !== undefined) throw redirection
      if (wasNeverSent(error)) throw this.#spared()
      const wasSent = connection !== undefined
      this.#lastFailure = unavailable(error, { wasSent, isResent: connection !== this.#connections })
      throw this.#lastFailure
    }
  }

  /** What a call gets that never left, because others of late had no answer: why they had none. */
  #spared(): LedgerUnavailable {
    const fault = this.#lastFailure?.fault ?? 'connection_lost'
    return new LedgerUnavailable('Redis did not answer lately; the next try is soon', { fault, maybeDone: false })
  }

  async #untilReady(): Promise<void> {
    if (this.#redis.status === 'ready') return
    this.#ready ??= this.#waitForReady().finally(() => (this.#ready = undefined))
    await this.#ready
  }

  /** At start the connection may take its time; later a caller waits no longer than for a command. */
  #waitForReady(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    const waitMs = this.#wasReady ? this.#commandTimeoutMs : CONNECT_TIMEOUT_MS
    const timer = setTimeout(() => reject(this.#lastFailure ?? notConnected()), waitMs)
    const ended = () => reject(new LedgerUnavailable('connection is closed', { fault: 'connection_lost' }))
    this.#redis.once('ready', resolve)
    this.#redis.once('end', ended)
    if (this.#redis.status === 'end') ended()
    return promise.finally(() => {
      clearTimeout(timer)
      this.#redis.off('ready', resolve)
      this.#redis.off('end', ended)
    })
  }
}

function notConnected(): LedgerUnavailable {
  return new LedgerUnavailable('not connected', { fault: 'unreachable' })
}
