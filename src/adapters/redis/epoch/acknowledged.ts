/**
 * What the store acknowledged of late: a server that took over may lack the end of it, and is told again.
 */
import type { Acknowledged } from '../../../ports/ledger-store.ts'

/** Older than this, a settlement that a store does not know may have been forgotten rather than lost. */
const KEPT_MS = 100_000

/** A thousand calls a second for as long as they are kept, at some 300 bytes each. */
const KEPT_MAX = 100_000

interface Kept {
  readonly done: Acknowledged
  readonly atMs: number
}

export class AcknowledgedRing {
  /** Owned by this object; oldest first, by the process's own clock. */
  #kept: Kept[] = []
  /** Something acknowledged at this instant is no longer kept. */
  #forgottenUntilMs = -1
  #isDirty = false

  add(done: Acknowledged, nowMs: number): void {
    this.#isDirty = true
    this.#kept.push({ done, atMs: nowMs })
    // Once in a while, so that adding stays cheap.
    if (this.#kept.length > 2 * KEPT_MAX || (this.#kept.length % 1_024 === 0 && this.#isOld(nowMs))) this.#forget(nowMs)
  }

  /** A reservation was acknowledged: the stamp that follows it covers it. */
  touch(): void {
    this.#isDirty = true
  }

  get isDirty(): boolean {
    return this.#isDirty
  }

  /** A stamp is on its way that covers all that was acknowledged so far. */
  stamped(): void {
    this.#isDirty = false
  }

  since(ms: number): readonly Acknowledged[] | undefined {
    if (ms <= this.#forgottenUntilMs) return undefined
    return this.#kept.filter(({ atMs }) => atMs >= ms).map(({ done }) => done)
  }

  #isOld(nowMs: number): boolean {
    const [oldest] = this.#kept
    return oldest !== undefined && oldest.atMs < nowMs - KEPT_MS
  }

  #forget(nowMs: number): void {
    const young = this.#kept.filter(({ atMs }) => atMs >= nowMs - KEPT_MS).slice(-KEPT_MAX)
    const forgotten = this.#kept[this.#kept.length - young.length - 1]
    if (forgotten !== undefined) this.#forgottenUntilMs = forgotten.atMs
    this.#kept = young
  }
}
