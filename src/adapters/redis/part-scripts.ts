/**
 * Runs the scripts that post one part of a decision, and reads what they answer.
 */
import { IDLE_COUNTER_MS, NOTE_KEPT_MS, TOMBSTONE_MS } from '../../domain/accumulator-geometry.ts'
import type { Charge } from '../../domain/accumulator.ts'
import { LEASE_MS } from '../../domain/reservation.ts'
import type {
  Hold,
  ReassertOutcome,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from '../../domain/reservation.ts'
import type { RedisCommands } from './client.ts'
import type { Keys } from './keys.ts'
import { ofPart } from './parts.ts'
import type { Part } from './parts.ts'
import { toReassertOutcome, toReserveOutcome, toSettleOutcome } from './outcomes.ts'
import { writePlan, writeReasserted } from './plan.ts'
import { Reply } from './replies.ts'
import { reassertArguments, reassertedParts, reserveArguments, settleArguments } from './script-arguments.ts'
import type { Scripts } from './scripts.ts'

export interface Posting {
  /** One amount for each charge of the part. */
  readonly actual: readonly number[]
  /** `revoke` forgets that there was a hold: what another shard refused may be asked for again. */
  readonly mode: 'settle' | 'void' | 'revoke'
  readonly note: string
}

export class PartScripts {
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts

  constructor(parts: { readonly redis: RedisCommands; readonly keys: Keys; readonly scripts: Scripts }) {
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
  }

  /** With `fit`, each part finds what it affords by itself: several parts must be asked for one and the same answer. */
  async reserve(request: Omit<ReservationRequest, 'charges'>, part: Part): Promise<ReserveOutcome> {
    const { id, leaseMs, owner } = request
    const { home, charges } = part
    const fit = request.fit && { ...request.fit, terms: ofPart(request.fit.terms, part) }
    const reply = await this.#redis.evaluate(
      this.#scripts.reserve,
      [this.#keys.record(home, id), this.#keys.leases(home), ...this.#accumulatorKeys(charges)],
      [id, leaseMs, writePlan(owner, part), ...reserveArguments({ charges, fit })],
    )
    return toReserveOutcome({ id, charges, owner }, new Reply(reply))
  }

  async settle({ id, owner }: Pick<Hold, 'id' | 'owner'>, part: Part, posting: Posting): Promise<SettleOutcome> {
    const { home, charges } = part
    const { actual, mode, note } = posting
    const reply = await this.#redis.evaluate(
      this.#scripts.settle,
      [
        this.#keys.record(home, id),
        this.#keys.leases(home),
        this.#keys.expired(home, owner),
        ...this.#accumulatorKeys(charges),
      ],
      [id, note === '' ? TOMBSTONE_MS : NOTE_KEPT_MS, mode, IDLE_COUNTER_MS, note, ...settleArguments(charges, actual)],
    )
    return toSettleOutcome(new Reply(reply))
  }

  /** Nothing was spent. */
  async giveBack(hold: Pick<Hold, 'id' | 'owner'>, part: Part, mode: 'void' | 'revoke'): Promise<SettleOutcome> {
    return this.settle(hold, part, { actual: part.charges.map(() => 0), mode, note: '' })
  }

  /** Settles also what the store has lost, as if it had been brought back just before. */
  async force(hold: Hold, part: Part, posting: Posting): Promise<SettleOutcome> {
    const outcome = await this.settle(hold, part, posting)
    if (outcome.kind !== 'unknown') return outcome
    await this.reassert(hold, part, LEASE_MS)
    const forced = await this.settle(hold, part, posting)
    return forced.kind === 'settled' ? { ...forced, before: 'unknown' } : forced
  }

  /** `hold` is the whole. */
  async reassert(hold: Hold, part: Part, leaseMs: number): Promise<ReassertOutcome> {
    const { home, charges } = part
    const own = { ...hold, charges, marks: ofPart(hold.marks, part) }
    const lost = reassertedParts(own)
    const keys = this.#accumulatorKeys(lost.map(({ charge }) => charge))
    const reply = await this.#redis.evaluate(
      this.#scripts.reassert,
      [this.#keys.record(home, hold.id), this.#keys.leases(home), ...keys],
      [hold.id, leaseMs, writeReasserted(own, part), ...reassertArguments(lost)],
    )
    return toReassertOutcome(new Reply(reply))
  }

  #accumulatorKeys(charges: readonly Charge[]): readonly string[] {
    return charges.map(({ accumulator }) => this.#keys.accumulator(accumulator))
  }
}
