/**
 * Whether a store still has what this gateway was told that it had. A server that took over, or came back, may lack the end
 * of it: what this gateway was acknowledged lately is told again. When it lacks more than that, the store counts as lost.
 */
import { LEASE_MS } from '../domain/ledger/reservation.ts'
import type { Timer } from '../ports.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { LedgerStore, StoreView } from '../ports/ledger-store.ts'
import type { StoreMemory } from '../ports/store-notes.ts'
import type { OpenCallRegistry } from './open-calls.ts'

/** Behind by more than this, a store lacks what is no longer remembered here. Well inside the life of a tombstone. */
const BEHIND_MAX_MS = 60_000

/**
 * How long a changed server is not decided by, so that the other gateways can tell it what it lacks of theirs: they look once
 * a second. It ends early when all that were active lately have.
 */
const LEARN_MS = 2_000
const LEARN_STEP_MS = 50

/** Commands under way at a time while a server is told again. */
const AT_ONCE = 50

/** Stamps whose sending is remembered: more than can be behind. */
const SENT_MAX = 128

export type CheckOutcome = 'good' | 'lost'

interface Checking {
  readonly store: LedgerStore
  readonly ledger: Pick<Ledger, 'settle' | 'reassert'>
  readonly openCalls: Pick<OpenCallRegistry, 'holds'>
  readonly origin: string
  readonly timer: Timer
}

export class ServerCheck {
  readonly #world: Checking
  /** When each of the last stamps was sent, by the process's own clock. What was acknowledged before, the stamp covers. */
  readonly #sent = new Map<number, number>()

  constructor(world: Checking) {
    this.#world = world
  }

  /** Leaves a stamp; undefined when one that was acknowledged before is not there any more. */
  async stamp(memory: StoreMemory): Promise<StoreMemory | undefined> {
    const sentMs = performance.now()
    const stamps = { ...memory.stamps }
    for (const [part, { before, now }] of await this.#world.store.stamp()) {
      const known = stamps[part]
      if (known !== undefined && (before ?? 0) < known) return undefined
      stamps[part] = now
      this.#sent.set(now, sentMs)
    }
    for (const stamp of this.#sent.keys()) if (this.#sent.size > SENT_MAX) this.#sent.delete(stamp)
    return { ...memory, stamps }
  }

  /** `memory` is of the epoch that the store is in, and the ledger may post in it. */
  async check(view: StoreView, memory: StoreMemory): Promise<CheckOutcome> {
    const parts = Object.entries(memory.stamps)
    const found = parts.map(([part, known]) => ({ known, stored: view.stamps.get(part) ?? Number.NEGATIVE_INFINITY }))
    if (found.some(({ known, stored }) => known - stored > BEHIND_MAX_MS)) return 'lost'
    const isBehind = found.some(({ known, stored }) => stored < known)
    if (!isBehind && (memory.servers === '' || memory.servers === view.servers)) return 'good'
    const covered = found.map(({ stored }) => this.#coveredMs(stored))
    // A process that has just started does not know what its predecessor was acknowledged.
    if (isBehind && covered.includes(undefined)) return 'lost'
    const sinceMs = Math.min(...covered.map((ms) => ms ?? 0))
    return (await this.#tellAgain(sinceMs)) ? this.#learned(view) : 'lost'
  }

  /** What was acknowledged before this instant, a store with this stamp has. A stamp may be there whose answer was late. */
  #coveredMs(stored: number): number | undefined {
    const acknowledged = [...this.#sent].filter(([stamp]) => stamp <= stored)
    return acknowledged.at(-1)?.[1]
  }

  async #tellAgain(sinceMs: number): Promise<boolean> {
    const { store, ledger, openCalls } = this.#world
    const acknowledged = store.acknowledgedSince(sinceMs)
    if (acknowledged === undefined) return false
    await inBatches(acknowledged, ({ hold, amounts }) => ledger.settle(hold, amounts, { force: true }))
    await inBatches(openCalls.holds(), (hold) => ledger.reassert(hold, LEASE_MS))
    return true
  }

  /** Waits for the others: a place that one of them holds must not be given away. */
  async #learned(view: StoreView): Promise<'good'> {
    const { store, timer, origin } = this.#world
    await store.noteChecked(view.epoch, view.servers)
    for (let waitedMs = 0; waitedMs < LEARN_MS; waitedMs += LEARN_STEP_MS) {
      const { peers, checked, nowMs } = await store.view()
      const active = [...peers].filter(([peer, stamp]) => peer !== origin && nowMs - stamp < BEHIND_MAX_MS)
      if (active.every(([peer]) => checked.get(peer) === view.servers)) break
      await timer.wait(LEARN_STEP_MS)
    }
    return 'good'
  }
}

async function inBatches<Item>(items: readonly Item[], work: (item: Item) => Promise<unknown>): Promise<void> {
  for (let start = 0; start < items.length; start += AT_ONCE) {
    await Promise.all(items.slice(start, start + AT_ONCE).map(work))
  }
}
