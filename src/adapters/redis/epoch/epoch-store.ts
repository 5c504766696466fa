/**
 * The epoch of the store in Redis: how it is looked at, emptied, told and opened. The scripts each do one step that must be
 * one; what lies between them can be repeated by any gateway.
 */
import { randomUUID } from 'node:crypto'
import type { LedgerFact } from '../../../domain/ledger/log-fold.ts'
import { budgetName, spanName } from '../../../domain/ledger/accumulator-name.ts'
import type { EpochId, JoinOutcome, Joining, Opening } from '../../../ports/ledger-store.ts'
import { toScanStep } from '../budgets.ts'
import type { RedisCommands } from '../connection/client.ts'
import { ALL_SHARDS, FIRST_SHARD } from '../keys.ts'
import type { Keys } from '../keys.ts'
import { Reply } from '../replies.ts'
import type { Scripts } from '../scripts.ts'

/** The lock of a gateway that died is free after this; one that works renews it with each step. */
const LOCK_MS = 10_000

/** Sums told in one script: bounds the time for which it holds up others. */
const FACTS_PER_SCRIPT = 500

/** A command sent again over a new connection comes within seconds; a rebuild that waits for a gateway may take a day. */
const TOLD_KEPT_MS = 24 * 3_600_000

/** Keys that Redis looks at in one step: about a millisecond. */
const KEYS_PER_STEP = 1_000

/** Shards opened by one script, or written in one go. */
const SHARDS_AT_ONCE = 128

export class EpochStore {
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts
  readonly #lockName = randomUUID()

  constructor(parts: { readonly redis: RedisCommands; readonly keys: Keys; readonly scripts: Scripts }) {
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
  }

  async wipe(seen: string): Promise<'begun' | 'busy' | 'changed'> {
    const first = this.#keys.epoch(FIRST_SHARD)
    const locked = await this.#lock(seen)
    if (locked !== 'locked') return locked
    // No script posts anything from here on: what the scan has passed stays empty.
    await this.#inChunks(ALL_SHARDS, async (shards) => {
      await this.#redis.read(shards.map((shard) => ['DEL', this.#keys.epoch(shard)]))
    })
    for (const { representative } of await this.#redis.stores()) {
      if (!(await this.#empty(representative))) return 'busy'
    }
    const epoch = randomUUID()
    await this.#inChunks(ALL_SHARDS.slice(1), async (shards) => {
      await this.#redis.read(shards.map((shard) => ['SET', this.#keys.epoch(shard), `~${epoch}`]))
    })
    const keys = [first, this.#keys.lock, this.#keys.rebuild]
    const begun = await this.#ask(this.#scripts.epochBegin, keys, [this.#lockName, epoch])
    return begun.text() === 'begun' ? 'begun' : 'busy'
  }

  /** Deletes all but the stamps and the lock on the server of a shard; false when the lock was lost. */
  async #empty(shard: number): Promise<boolean> {
    let cursor = '0'
    do {
      if ((await this.#lock('')) !== 'locked') return false
      const args = [cursor, this.#keys.all, KEYS_PER_STEP]
      const step = toScanStep(await this.#redis.evaluate(this.#scripts.scan, [this.#keys.leases(shard)], args))
      cursor = step.cursor
      const doomed = step.names.filter((name) => name !== this.#keys.lock && !name.endsWith('}:N'))
      await this.#redis.read(doomed.map((name) => ['UNLINK', name]))
    } while (cursor !== '0')
    return true
  }

  async join(
    epoch: EpochId,
    { origin, attempt, expected }: { origin: string; attempt: string; expected: readonly string[] },
  ): Promise<JoinOutcome> {
    const keys = [this.#keys.epoch(FIRST_SHARD), this.#keys.rebuild]
    const reply = await this.#ask(this.#scripts.epochJoin, keys, [epoch, origin, attempt, ...expected])
    const kind = reply.text()
    if (kind === 'joined') return { kind, epoch, origin, attempt, seen: reply.text(), atMs: reply.integer() }
    return kind === 'done' || kind === 'torn' || kind === 'opening' ? { kind } : { kind: 'gone' }
  }

  /** Answers false when the store is no longer in the epoch. */
  async contribute({ origin, seen }: Joining, facts: readonly LedgerFact[]): Promise<boolean> {
    for (const [shard, group] of Map.groupBy(facts, (fact) => fact.shard)) {
      const told = this.#keys.told(shard)
      for (let start = 0; start < group.length; start += FACTS_PER_SCRIPT) {
        const part = group.slice(start, start + FACTS_PER_SCRIPT)
        const keys = part.map((fact) => this.#keys.named(shard, nameOf(fact)))
        const args = part.flatMap(({ kind, value, keptUntilMs }) => [kind, value, keptUntilMs ?? 0])
        const reply = await this.#ask(
          this.#scripts.epochContribute,
          [told, ...keys, this.#keys.epoch(shard)],
          [`${origin}|${start}`, TOLD_KEPT_MS, ...args, seen],
        )
        if (reply.text() === 'lost') return false
      }
    }
    return true
  }

  async finish({ epoch, origin, attempt }: Joining): Promise<boolean> {
    const reply = await this.#ask(this.#scripts.epochDone, [this.#keys.rebuild], [epoch, origin, attempt])
    return reply.text() === 'done'
  }

  /** All other shards first: when the first is open, all are. */
  async open(epoch: EpochId): Promise<Opening> {
    const ready = await this.#step(epoch, 'ready')
    if (ready !== 'ready') return ready
    await this.#inChunks(ALL_SHARDS.slice(1), async (shards) => {
      await Promise.all(shards.map((shard) => this.#ask(this.#scripts.epochRaise, [this.#keys.epoch(shard)], [epoch])))
    })
    const open = await this.#step(epoch, 'open')
    return open === 'ready' ? { kind: 'gone' } : open
  }

  async #step(epoch: EpochId, name: 'ready' | 'open'): Promise<Opening | 'ready'> {
    const keys = [this.#keys.epoch(FIRST_SHARD), this.#keys.rebuild]
    const reply = await this.#ask(this.#scripts.epochOpen, keys, [epoch, name])
    const kind = reply.text()
    if (kind === 'waiting') return { kind, origins: reply.texts() }
    if (kind === 'ready') return kind
    return kind === 'open' ? { kind } : { kind: 'gone' }
  }

  async note(epoch: EpochId, field: string, value: string): Promise<void> {
    await this.#ask(this.#scripts.epochNote, [this.#keys.rebuild], [epoch, field, value])
  }

  /** `seen` is '' once the epoch is deleted: renews the lock. */
  async #lock(seen: string): Promise<'locked' | 'busy' | 'changed'> {
    const keys = [this.#keys.epoch(FIRST_SHARD), this.#keys.lock]
    const reply = (await this.#ask(this.#scripts.epochLock, keys, [seen, this.#lockName, LOCK_MS])).text()
    return reply === 'locked' || reply === 'changed' ? reply : 'busy'
  }

  async #ask(
    script: Scripts[keyof Scripts],
    keys: readonly string[],
    args: readonly (string | number)[],
  ): Promise<Reply> {
    return new Reply(await this.#redis.evaluate(script, keys, args))
  }

  async #inChunks(shards: readonly number[], work: (shards: readonly number[]) => Promise<void>): Promise<void> {
    for (let start = 0; start < shards.length; start += SHARDS_AT_ONCE) {
      await work(shards.slice(start, start + SHARDS_AT_ONCE))
    }
  }
}

function nameOf({ kind, key }: LedgerFact): string {
  return kind === 'began' ? spanName(key) : budgetName(key)
}
