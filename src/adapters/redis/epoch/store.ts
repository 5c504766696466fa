/**
 * The store in Redis as the keeper of the ledger sees it: which epoch and which servers it has, and what this gateway may do
 * with it.
 */
import { NOTE_KEPT_MS } from '../../../domain/ledger/accumulator-geometry.ts'
import { faultOf } from '../../../domain/failures.ts'
import type { LedgerFault } from '../../../domain/ledger/ledger-fault.ts'
import type { LedgerFact } from '../../../domain/ledger/log-fold.ts'
import { LEASE_MS } from '../../../domain/ledger/reservation.ts'
import type { Hold } from '../../../domain/ledger/reservation.ts'
import type {
  Acknowledged,
  EpochId,
  JoinOutcome,
  Joining,
  LedgerStore,
  Opening,
  StoreView,
} from '../../../ports/ledger-store.ts'
import type { AcknowledgedRing } from './acknowledged.ts'
import type { RedisCommands } from '../connection/client.ts'
import type { EpochGuard } from './epoch-guard.ts'
import { EpochStore } from './epoch-store.ts'
import { readView } from './epoch-view.ts'
import type { Keys } from '../keys.ts'
import type { PartScripts } from '../parts/part-scripts.ts'
import { ofPart, partsOf } from '../parts/parts.ts'
import { Reply } from '../replies.ts'
import type { Scripts } from '../scripts.ts'

interface Parts {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
  readonly guard: EpochGuard
  readonly acknowledged: AcknowledgedRing
  readonly postings: PartScripts
  /** Origin of this gateway's log. */
  readonly owner: string
}

export class RedisStore implements LedgerStore {
  readonly #parts: Parts
  readonly #epochs: EpochStore

  constructor(parts: Parts) {
    this.#parts = parts
    this.#epochs = new EpochStore(parts)
  }

  view(): Promise<StoreView> {
    return readView(this.#parts)
  }

  async peers(): Promise<readonly string[]> {
    const { redis, keys } = this.#parts
    const stores = await redis.stores()
    const replies = await redis.read(stores.map(({ representative }) => ['HKEYS', keys.stamps(representative)]))
    return [...new Set(replies.flatMap((reply) => new Reply(reply).texts()))]
  }

  onNotice(noticed: () => void): void {
    this.#parts.guard.onNotice(noticed)
  }

  async close(fault: LedgerFault, detail?: string): Promise<void> {
    this.#parts.guard.close(fault, detail)
    await this.#parts.guard.idle()
  }

  know(epoch: EpochId, fault: LedgerFault): void {
    this.#parts.guard.know(epoch, fault)
  }

  /** The servers are looked at after the script is there: a connection that moved meanwhile has made it known to others. */
  async open(epoch: EpochId, servers: string): Promise<boolean> {
    const { redis, scripts, guard } = this.#parts
    for (const { representative } of await redis.stores()) {
      const keys = [this.#parts.keys.epoch(representative)]
      await redis.evaluate({ ...scripts.reserve, onlyWhereLoaded: false }, keys, ['', epoch])
    }
    if ((await this.view()).servers !== servers) return false
    guard.open(epoch)
    return true
  }

  async probe(epoch: EpochId): Promise<boolean> {
    const { guard, redis, scripts, keys } = this.#parts
    try {
      for (const { representative } of await redis.stores()) {
        const reply = await redis.evaluate(scripts.reserve, [keys.epoch(representative)], ['', epoch])
        if (new Reply(reply).text() === 'lost') guard.lost(epoch)
      }
    } catch (error) {
      if (faultOf(error) !== 'unverified') throw error
      guard.know(epoch, 'unverified')
    }
    return guard.isOpen
  }

  wipe(seen: string): Promise<'begun' | 'busy' | 'changed'> {
    return this.#epochs.wipe(seen)
  }

  join(epoch: EpochId, log: { origin: string; attempt: string; expected: readonly string[] }): Promise<JoinOutcome> {
    return this.#epochs.join(epoch, log)
  }

  contribute(joining: Joining, facts: readonly LedgerFact[]): Promise<boolean> {
    return this.#epochs.contribute(joining, facts)
  }

  async bringBack({ seen: epoch }: Joining, hold: Hold, settled: readonly number[] | undefined): Promise<void> {
    const { postings, redis } = this.#parts
    for (const part of partsOf(hold.charges, redis.isSlotted)) {
      await postings.reassert(hold, part, LEASE_MS, { epoch })
      if (settled === undefined) continue
      const posting = { actual: ofPart(settled, part), mode: 'settle', note: '' } as const
      // Its owner goes on trying to settle it, for as long as the store stays closed.
      await postings.settle(hold, part, posting, { epoch, keptMs: NOTE_KEPT_MS })
    }
  }

  finish(joining: Joining): Promise<boolean> {
    return this.#epochs.finish(joining)
  }

  openEpoch(epoch: EpochId): Promise<Opening> {
    return this.#epochs.open(epoch)
  }

  giveUp(epoch: EpochId, origin: string): Promise<void> {
    return this.#epochs.note(epoch, `x:${origin}`, '1')
  }

  async stamp(): Promise<ReadonlyMap<string, { readonly before: number | undefined; readonly now: number }>> {
    const { redis, scripts, keys, acknowledged, owner } = this.#parts
    acknowledged.stamped()
    const stamps = new Map<string, { readonly before: number | undefined; readonly now: number }>()
    for (const { representative } of await redis.stores()) {
      const reply = new Reply(await redis.evaluate(scripts.epochStamp, [keys.stamps(representative)], [owner]))
      const before = reply.text()
      stamps.set(`${representative}`, { before: before === '' ? undefined : Number(before), now: reply.integer() })
    }
    return stamps
  }

  needsStamp(): boolean {
    return this.#parts.acknowledged.isDirty
  }

  acknowledgedSince(ms: number): readonly Acknowledged[] | undefined {
    return this.#parts.acknowledged.since(ms)
  }

  noteChecked(epoch: EpochId, servers: string): Promise<void> {
    return this.#epochs.note(epoch, `v:${this.#parts.owner}`, servers)
  }
}
