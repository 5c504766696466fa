/**
 * Plays one story on one or more ledgers at once and judges them after every step: they must answer alike, and as the
 * ideal ledger says they may.
 */
import { fail } from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'

import { accumulatorName } from '../../../src/domain/ledger/accumulator-name.ts'
import type { Accumulator } from '../../../src/domain/ledger/accumulator.ts'
import type { Hold, ReservationRequest, ReserveOutcome } from '../../../src/domain/ledger/reservation.ts'
import type { Ledger } from '../../../src/ports/ledger.ts'
import type { VirtualLedger } from '../../support/ledgers.ts'
import { IdealLedger } from './ideal-ledger.ts'
import { same } from './same.ts'
import { EVERYTHING, accumulatorsFor } from './stories.ts'
import type { Step, Story } from './stories.ts'

const OWNERS = ['test/audit/log', 'test/audit/log-2']
const HOLDS_MAX = 1_000

/** Lists are looked for in every shard: so that a run has time for many stories, they are judged after this many steps. */
const LISTED_EVERY = 8

/** A second: far above what a loopback needs for a few commands. */
const LOOKS_MAX = 50
const LOOK_AGAIN_MS = 20

type Of<Do extends Step['do']> = Extract<Step, { do: Do }>

export interface PlayOptions {
  /** Puts all accumulators into one shard. */
  readonly shard?: number
  /**
   * The policy stays as it is and the clock is not set back. On a Cluster a refused decision was held in some shards for a
   * moment: it may leave its limit in force there, and some debt in a bucket whose clock was set back.
   */
  readonly isEven?: boolean
}

/** Plays from empty ledgers; rejects at the first answer that is wrong. Answers what kinds of answers there were. */
export async function play(
  story: Story,
  ledgers: readonly VirtualLedger[],
  options: PlayOptions = {},
): Promise<readonly string[]> {
  const startMs = Math.max(...ledgers.map((under) => under.nowMs()))
  for (const under of ledgers) {
    await under.clear()
    await under.advance(startMs - under.nowMs())
  }
  const player = new Player(story, ledgers, options)
  const loseAfter = story.loss === null ? -1 : story.loss.after % story.steps.length
  for (const [index, step] of story.steps.entries()) {
    await player.step(step)
    if (index === loseAfter) await player.lose()
    if (index % LISTED_EVERY === 0 || index === story.steps.length - 1) await player.judgeLists()
  }
  return player.answers
}

class Player {
  readonly answers: string[] = []
  readonly #story: Story
  readonly #options: PlayOptions
  readonly #ledgers: readonly VirtualLedger[]
  readonly #ideal: IdealLedger
  readonly #requests: ReservationRequest[] = []
  /** What the callers remember of their holds. */
  readonly #remembered = new Map<string, Hold>()
  /** Every accumulator that was ever charged, by name: also windows that are over are looked at. */
  readonly #seen = new Map<string, Accumulator>()
  /** The call that the latest step was about. */
  #last: ReservationRequest | undefined
  #edits = 0

  constructor(story: Story, ledgers: readonly VirtualLedger[], options: PlayOptions) {
    this.#options = options
    this.#story = story
    this.#ledgers = ledgers
    this.#ideal = new IdealLedger(ledgers[0]?.nowMs() ?? 0)
  }

  async step(step: Step): Promise<void> {
    await this.#do(step)
    await this.#judgeStates()
  }

  async lose(): Promise<void> {
    await Promise.all(this.#ledgers.map((under) => under.clear()))
    this.#ideal.lose()
    await this.#judgeStates()
  }

  /** Open holds, expired holds, and one call by its id. */
  async judgeLists(): Promise<void> {
    const holds = await this.#all((ledger) => ledger.holds(HOLDS_MAX))
    same(
      holds.map(({ id, leaseUntilMs }) => [id, leaseUntilMs]),
      this.#ideal.holds(),
      'open holds',
    )
    const { id = 'none', owner = OWNERS[0] ?? '' } = this.#last ?? {}
    await this.#demand((ledger) => ledger.expired(owner, HOLDS_MAX), this.#ideal.expired(owner))
    await this.#demand((ledger) => ledger.find(id), this.#ideal.find(id))
    await this.#demand((ledger) => ledger.noteOf(id), this.#ideal.noteOf(id))
  }

  async #do(step: Step): Promise<void> {
    if (step.do === 'advance') return this.#advance(step.ms)
    if (step.do === 'edit policy') return void (this.#edits += this.#options.isEven === true ? 0 : 1)
    if (step.do === 'crash') return this.#remembered.clear()
    if (step.do === 'reap') return this.#reap()
    if (step.do === 'reserve') return this.#reserve(step)
    if (step.do !== 'void early') return this.#again(step)
    await this.#void({ id: this.#newId(), charges: [], leaseMs: 1_000, owner: OWNERS[0] ?? '' })
  }

  async #advance(ms: number): Promise<void> {
    const forward = this.#options.isEven === true ? Math.max(0, ms) : ms
    for (const under of this.#ledgers) await under.advance(forward)
    this.#ideal.advance(forward)
  }

  /** Steps about a call of before. */
  async #again(
    step: Exclude<Step, Of<'advance' | 'edit policy' | 'crash' | 'reap' | 'reserve' | 'void early'>>,
  ): Promise<void> {
    const recent = step.lately ? this.#requests.slice(-6) : this.#requests
    const request = recent[step.which % Math.max(1, recent.length)]
    if (!request) return
    this.#last = request
    switch (step.do) {
      case 'repeat':
        return this.#ask(request, false)
      case 'void':
        return this.#void(request)
      case 'settle':
        return this.#settle(step, request)
      case 'release':
        await this.#all((ledger) => ledger.release([request]))
        return this.#ideal.release(request.id)
      case 'extend':
        return this.#demand((ledger) => ledger.extend([request], 50_000), this.#ideal.extend(request.id, 50_000))
      case 'reassert': {
        const hold = await this.#holdOf(request)
        return this.#demand((ledger) => ledger.reassert(hold, 50_000), this.#ideal.reassert(hold, 50_000))
      }
    }
  }

  async #reserve(step: Of<'reserve'>): Promise<void> {
    const { pool } = this.#story
    const one = pool[step.which % pool.length] ?? 0
    const indexes = step.of === 'all' ? pool : step.of === 'one' ? [one] : EVERYTHING
    const edits = this.#edits - step.behind
    const view = { nowMs: this.#ideal.nowMs, edits, skewMs: step.skewMs, shard: this.#options.shard }
    const charges = accumulatorsFor(indexes, view).map((accumulator) => ({
      accumulator,
      amount: accumulator.shape.kind === 'concurrency' ? 1 : step.amount,
    }))
    for (const { accumulator } of charges) this.#seen.set(accumulatorName(accumulator), accumulator)
    const owner = OWNERS[this.#requests.length % 3 === 0 ? 1 : 0] ?? ''
    const request = { id: this.#newId(), charges, leaseMs: step.leaseMs, owner }
    this.#requests.push(request)
    this.#last = request
    await this.#ask(request, step.crashes)
  }

  async #ask(request: ReservationRequest, crashes: boolean): Promise<void> {
    const outcome = await this.#all<ReserveOutcome>((ledger) => ledger.reserve(request))
    this.#ideal.reserve(request, outcome)
    this.answers.push(outcome.kind === 'duplicate' ? `duplicate ${outcome.state}` : outcome.kind)
    if (outcome.kind === 'held' && !crashes) this.#remembered.set(request.id, outcome.hold)
  }

  async #settle(step: Of<'settle'>, request: ReservationRequest): Promise<void> {
    const hold = await this.#holdOf(request)
    const actual = request.charges.map(({ amount }, index) => {
      if (step.cost === 'any') return step.actual[index] ?? 0
      return step.cost === 'held' ? amount : Math.floor(amount * step.part)
    })
    const { force, note } = step
    const right = this.#ideal.settle(hold, actual, { force, note })
    await this.#demand((ledger) => ledger.settle(hold, actual, { force, note }), right)
    this.answers.push('before' in right ? `${right.kind} ${right.before}` : right.kind)
  }

  async #void(request: ReservationRequest): Promise<void> {
    await this.#demand((ledger) => ledger.void(request), this.#ideal.void(request))
    if (!this.#requests.includes(request)) this.#requests.push(request)
  }

  async #reap(): Promise<void> {
    const ids = async (ledger: Ledger) => (await ledger.reap(HOLDS_MAX)).map(({ id }) => id).sort()
    await this.#demand(ids, this.#ideal.reap())
  }

  /** As its caller remembers it, or as another node finds it, or as nobody knows it any more. */
  async #holdOf(request: ReservationRequest): Promise<Hold> {
    const remembered = this.#remembered.get(request.id)
    if (remembered) return remembered
    const found = await this.#all((ledger) => ledger.find(request.id))
    const { id, charges, owner } = request
    return found ?? { id, charges, owner, atUs: this.#ideal.nowMs * 1_000, marks: charges.map(() => 0) }
  }

  /** What shards give back of a refused decision is under way when the refusal is told: only what stays wrong is wrong. */
  async #judgeStates(): Promise<void> {
    for (let looks = this.#options.isEven === true ? LOOKS_MAX : 1; ; looks -= 1) {
      try {
        return await this.#lookAtStates()
      } catch (error) {
        if (looks === 1) throw error
        await sleep(LOOK_AGAIN_MS)
      }
    }
  }

  /** Every accumulator there is, and every one that there was. */
  async #lookAtStates(): Promise<void> {
    const now = accumulatorsFor(EVERYTHING, {
      nowMs: this.#ideal.nowMs,
      edits: 0,
      skewMs: 0,
      shard: this.#options.shard,
    })
    const seen = [...new Map([...this.#seen, ...now.map((one) => [accumulatorName(one), one] as const)]).values()]
    const states = await this.#all((ledger) => ledger.balances(seen))
    for (const [index, one] of seen.entries()) this.#ideal.judgeState(one, states[index] ?? fail('no state'))
  }

  /** All ledgers give one answer. */
  async #all<Answer>(ask: (ledger: Ledger) => Promise<Answer>): Promise<Answer> {
    const answers = await Promise.all(this.#ledgers.map(({ ledger }) => ask(ledger)))
    const [first] = answers
    for (const answer of answers.slice(1)) same(answer, first, 'two ledgers answer')
    // One ledger at least is played on.
    return first as Answer
  }

  async #demand<Answer>(ask: (ledger: Ledger) => Promise<Answer>, right: unknown): Promise<void> {
    same(await this.#all(ask), right, 'an answer')
  }

  #newId(): string {
    return `id-${this.#requests.length}`
  }
}
