/**
 * Runs the scripts that post one part of a decision, and reads what they answer.
 */
import { IDLE_COUNTER_MS, NOTE_KEPT_MS, TOMBSTONE_MS } from '../../../domain/ledger/accumulator-geometry.ts'
import type { Charge } from '../../../domain/ledger/accumulator.ts'
import { LEASE_MS } from '../../../domain/ledger/reservation.ts'
import type {
  Hold,
  ReassertOutcome,
  ReservationRequest,
  ReserveOutcome,
  SettleOutcome,
} from '../../../domain/ledger/reservation.ts'
import type { Argument, RedisCommands } from '../connection/client.ts'
import type { EpochGuard } from '../epoch/epoch-guard.ts'
import type { Keys } from '../keys.ts'
import { ofPart } from './parts.ts'
import type { Part } from './parts.ts'
import { toReassertOutcome, toReserveOutcome, toSettleOutcome } from './outcomes.ts'
import { writePlan, writeReasserted } from '../plan.ts'
import { Reply } from '../replies.ts'
import { reassertArguments, reassertedParts, reserveArguments, settleArguments } from '../script-arguments.ts'
import type { Script, Scripts } from '../scripts.ts'

export interface Posting {
  /** One amount for each charge of the part. */
  readonly actual: readonly number[]
  /** `revoke` forgets that there was a hold: what another shard refused may be asked for again. */
  readonly mode: 'settle' | 'void' | 'revoke'
  readonly note: string
}

/** Which epoch a script posts in; see `EpochGuard`. Empty: this ledger is not guarded. */
export interface InEpoch {
  readonly epoch: string
  /** How long a settlement is recognised at least, in milliseconds. */
  readonly keptMs?: number
}

export class PartScripts {
  readonly #redis: RedisCommands
  readonly #keys: Keys
  readonly #scripts: Scripts

  readonly #guard: EpochGuard | undefined

  constructor(parts: {
    readonly redis: RedisCommands
    readonly keys: Keys
    readonly scripts: Scripts
    readonly guard: EpochGuard | undefined
  }) {
    this.#guard = parts.guard
    this.#redis = parts.redis
    this.#keys = parts.keys
    this.#scripts = parts.scripts
  }

  /** With `fit`, each part finds what it affords by itself: several parts must be asked for one and the same answer. */
  async reserve(request: Omit<ReservationRequest, 'charges'>, part: Part, epoch: string): Promise<ReserveOutcome> {
    const { id, leaseMs, owner } = request
    const { home, charges } = part
    const fit = request.fit && { ...request.fit, terms: ofPart(request.fit.terms, part) }
    const reply = await this.#post(
      this.#scripts.reserve,
      [this.#keys.record(home, id), this.#keys.leases(home), ...this.#accumulatorKeys(charges)],
      [id, leaseMs, writePlan(owner, part), ...reserveArguments({ charges, fit })],
      { home, epoch },
    )
    return toReserveOutcome({ id, charges, owner }, reply)
  }

  async settle(
    { id, owner }: Pick<Hold, 'id' | 'owner'>,
    part: Part,
    posting: Posting,
    { epoch, keptMs = posting.note === '' ? TOMBSTONE_MS : NOTE_KEPT_MS }: InEpoch = this.#inEpoch(),
  ): Promise<SettleOutcome> {
    const { home, charges } = part
    const { actual, mode, note } = posting
    const reply = await this.#post(
      this.#scripts.settle,
      [
        this.#keys.record(home, id),
        this.#keys.leases(home),
        this.#keys.expired(home, owner),
        ...this.#accumulatorKeys(charges),
      ],
      [id, keptMs, mode, IDLE_COUNTER_MS, note, ...settleArguments(charges, actual)],
      { home, epoch },
    )
    return toSettleOutcome(reply)
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
  async reassert(
    hold: Hold,
    part: Part,
    leaseMs: number,
    { epoch }: InEpoch = this.#inEpoch(),
  ): Promise<ReassertOutcome> {
    const { home, charges } = part
    const own = { ...hold, charges, marks: ofPart(hold.marks, part) }
    const lost = reassertedParts(own)
    const keys = this.#accumulatorKeys(lost.map(({ charge }) => charge))
    const reply = await this.#post(
      this.#scripts.reassert,
      [this.#keys.record(home, hold.id), this.#keys.leases(home), ...keys],
      [hold.id, leaseMs, writeReasserted(own, part), ...reassertArguments(lost)],
      { home, epoch },
    )
    return toReassertOutcome(reply)
  }

  /** Throws while there is no epoch to post in. */
  #inEpoch(): InEpoch {
    return { epoch: this.#guard?.epochToPost() ?? '' }
  }

  /** Runs a script that posts, in the epoch that its home shard has to be in. */
  async #post(
    script: Script,
    keys: readonly string[],
    args: readonly Argument[],
    { home, epoch }: { readonly home: number; readonly epoch: string },
  ): Promise<Reply> {
    const reply = await this.#redis.evaluate(script, [...keys, this.#keys.epoch(home)], [...args, epoch])
    this.#guard?.heed(reply, epoch)
    return new Reply(reply)
  }

  #accumulatorKeys(charges: readonly Charge[]): readonly string[] {
    return charges.map(({ accumulator }) => this.#keys.accumulator(accumulator))
  }
}
