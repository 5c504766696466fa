/**
 * Whether this gateway may use the ledger's store: it decides by a store only while that is in an epoch to which this
 * gateway's log has told all it knows, on a server whose state was checked.
 *
 * Three standings: `closed`, nothing is posted; `known`, what is under way is settled in the epoch and nothing is
 * reserved; `open`.
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'
import { LEDGER_FAULTS } from '../../../domain/ledger/ledger-fault.ts'
import type { LedgerFault } from '../../../domain/ledger/ledger-fault.ts'

type Standing =
  | { readonly kind: 'closed'; readonly fault: LedgerFault; readonly detail: string }
  | { readonly kind: 'known'; readonly fault: LedgerFault; readonly detail: string; readonly epoch: string }
  | { readonly kind: 'open'; readonly epoch: string }

/**
 * How long a call waits for a check of the server before it is refused: a check that finds nothing amiss takes a few
 * round trips, and costs no call more than this.
 */
const CHECK_MS = 1_000

export class EpochGuard {
  #standing: Standing = { kind: 'closed', fault: 'unverified', detail: '' }
  /** Resolved, and replaced, whenever the standing changes. */
  #changed = Promise.withResolvers<void>()
  /** How often it was opened: an answer from before the last opening says nothing of now. */
  #openings = 0
  #noticed: () => void = () => undefined
  /** Reservations without an answer yet. */
  readonly #underWay = new Set<Promise<unknown>>()

  /** Calls `noticed` when the store answered that it is not what it should be. */
  onNotice(noticed: () => void): void {
    this.#noticed = noticed
  }

  close(fault: LedgerFault, detail = ''): void {
    this.#become({ kind: 'closed', fault, detail })
  }

  know(epoch: string, fault: LedgerFault): void {
    this.#become({ kind: 'known', fault, detail: '', epoch })
  }

  open(epoch: string): void {
    this.#openings += 1
    this.#become({ kind: 'open', epoch })
  }

  get isOpen(): boolean {
    return this.#standing.kind === 'open'
  }

  /** Why nothing can be reserved; undefined when it can. */
  closedFor(): LedgerUnavailable | undefined {
    return this.#standing.kind === 'open' ? undefined : refused(this.#standing)
  }

  /** Runs a reservation in the open epoch; once more when the server was unknown and is found to be good. */
  async reserving<Answer>(run: (epoch: string) => Promise<Answer>): Promise<Answer> {
    const epoch = await this.#openEpoch()
    const openings = this.#openings
    try {
      return await this.#track(run(epoch))
    } catch (error) {
      if (!(error instanceof LedgerUnavailable) || error.fault !== 'unverified') throw error
      if (this.#standing.kind === 'open' && this.#openings === openings) {
        this.know(epoch, 'unverified')
        this.#noticed()
      }
      return await this.#track(run(await this.#openEpoch()))
    }
  }

  /** Runs what callers are told: as a reservation, it needs a store that knows all. */
  async reading<Answer>(run: (epoch: string) => Promise<Answer>): Promise<Answer> {
    return run(await this.#openEpoch())
  }

  /** The epoch in which something under way may be posted. */
  epochToPost(): string {
    if (this.#standing.kind === 'closed') throw refused(this.#standing)
    return this.#standing.epoch
  }

  /** Throws when a script answered that the store is not in this epoch: then it did nothing. */
  heed(reply: unknown, epoch: string): void {
    if (!Array.isArray(reply) || reply[0] !== 'lost') return
    this.lost(epoch)
    throw new LedgerUnavailable(LEDGER_FAULTS.lost, { fault: 'lost', maybeDone: false })
  }

  /** The store said that it is not in this epoch. */
  lost(epoch: string): void {
    if (this.#standing.kind !== 'closed' && this.#standing.epoch === epoch) this.close('lost')
    this.#noticed()
  }

  /** Resolves when no reservation is without an answer, and whoever asked has taken note of it. */
  async idle(): Promise<void> {
    while (this.#underWay.size > 0) await Promise.allSettled(this.#underWay)
    await new Promise((resolve) => setImmediate(resolve))
  }

  async #openEpoch(): Promise<string> {
    if (this.#standing.kind !== 'open' && this.#standing.fault === 'unverified') await this.#untilChecked()
    if (this.#standing.kind !== 'open') throw refused(this.#standing)
    return this.#standing.epoch
  }

  async #untilChecked(): Promise<void> {
    const timeout = Promise.withResolvers<void>()
    const timer = setTimeout(timeout.resolve, CHECK_MS)
    try {
      await Promise.race([this.#changed.promise, timeout.promise])
    } finally {
      clearTimeout(timer)
    }
  }

  #track<Answer>(answer: Promise<Answer>): Promise<Answer> {
    this.#underWay.add(answer)
    const forget = () => this.#underWay.delete(answer)
    answer.then(forget, forget)
    return answer
  }

  #become(standing: Standing): void {
    this.#standing = standing
    this.#changed.resolve()
    this.#changed = Promise.withResolvers()
  }
}

function refused({ fault, detail }: Exclude<Standing, { kind: 'open' }>): LedgerUnavailable {
  const message = detail === '' ? LEDGER_FAULTS[fault] : `${LEDGER_FAULTS[fault]}: ${detail}`
  return new LedgerUnavailable(message, { fault, maybeDone: false })
}
