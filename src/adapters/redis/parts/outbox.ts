/**
 * What has to be given back after the answer was given: parts of a decision that another shard refused. Each is sent at
 * once and then again until it is acknowledged. What cannot be delivered in time is left to the lease, which charges it in
 * full: that is reported, never passed over.
 */
import { setTimeout as sleep } from 'node:timers/promises'

import type { ReservationId } from '../../../domain/ledger/reservation.ts'

/** Tried for this long, in milliseconds: the shorter part of a lease, so that what is delivered is still held. */
const DELIVER_MS = 60_000

/** Pauses between two tries. A primary that failed is replaced within seconds. */
const PAUSE_MS_MIN = 50
const PAUSE_MS_MAX = 2_000

/** Undelivered parts at a time: minutes of refusals while a primary is away. More are reported at once. */
const PENDING_MAX = 50_000

/** A caller that asks again for a refused id waits no longer than this for what is still to be given back of it. */
const SETTLED_MS = 100

/** The longest that a shutdown waits: a store that is there answers in milliseconds. */
const CLOSE_MS = 5_000

/** Told of what was not delivered, with the last error. */
export type ReportUndelivered = (error: unknown) => void

export class Outbox {
  readonly #report: ReportUndelivered
  /** By reservation, all of its parts together. */
  readonly #pending = new Map<ReservationId, Promise<void>>()
  readonly #closing = new AbortController()

  constructor(report: ReportUndelivered) {
    this.#report = report
  }

  /** Sends before it returns, so that nothing which the same connection sends later overtakes it. */
  add(id: ReservationId, writes: readonly (() => Promise<unknown>)[]): void {
    if (writes.length === 0) return
    if (this.#pending.size >= PENDING_MAX) return this.#report(new Error('too much is waiting to be given back'))
    const delivered = Promise.all(writes.map((write) => this.#deliver(write)))
    const before = this.#pending.get(id)
    const all = Promise.all([before, delivered]).then(() => undefined)
    this.#pending.set(id, all)
    void all.finally(() => this.#pending.get(id) === all && this.#pending.delete(id))
  }

  /** Whether nothing of this reservation waits any more, now or a little later. */
  async isSettled(id: ReservationId): Promise<boolean> {
    const pending = this.#pending.get(id)
    if (pending === undefined) return true
    const waited = new AbortController()
    const late = sleep(SETTLED_MS, false, { ref: false, signal: waited.signal }).catch(() => false)
    const isSettled = await Promise.race([pending.then(() => true), late])
    waited.abort()
    return isSettled
  }

  /** Resolves when everything is delivered, or given up after a while; nothing is tried after that. */
  async close(): Promise<void> {
    const timer = setTimeout(() => this.#closing.abort(), CLOSE_MS)
    await Promise.all(this.#pending.values())
    clearTimeout(timer)
    this.#closing.abort()
  }

  async #deliver(write: () => Promise<unknown>): Promise<void> {
    const untilMs = performance.now() + DELIVER_MS
    for (let pauseMs = PAUSE_MS_MIN; ; pauseMs = Math.min(pauseMs * 2, PAUSE_MS_MAX)) {
      try {
        await write()
        return
      } catch (error) {
        if (performance.now() + pauseMs > untilMs || this.#closing.signal.aborted) return this.#report(error)
        await sleep(pauseMs, undefined, { ref: false, signal: this.#closing.signal }).catch(() => undefined)
      }
    }
  }
}
