/** What the records say about each other: that time goes forward, and that each admitted call is settled. */
import { BEFORE_USE, settlesOf } from './audit-record.ts'
import type { AuditRecord } from './audit-record.ts'
import { FindingList } from './audit-verify-findings.ts'

/** Longer than any lease: a call that was not settled by then never will be. */
const SETTLED_WITHIN_MS = 15 * 60_000

/** Calls that may be open at once, and settlements that are looked up again: keeps memory bounded, far above either in a sound log. */
const REMEMBERED_MAX = 262_144

export class ContentCheck {
  readonly findings = new FindingList()
  /** All below is owned by this object. Open decisions by id, with their time, oldest first. */
  readonly #open = new Map<string, number>()
  /** Settlements whose decision has not been seen: it may be in another log, or have been settled before. */
  readonly #unmatched = new Set<string>()
  #lastTime = ''
  #isClosed = false
  #isUsed = false

  take(record: AuditRecord): void {
    // Times have one width, so they sort as text.
    if (record.t < this.#lastTime) this.findings.add({ kind: 'CLOCK_BACK', seq: record.seq })
    else this.#lastTime = record.t
    if (this.#isClosed && !BEFORE_USE.some((type) => type === record.type)) {
      this.findings.add({ kind: 'AFTER_CLOSE', seq: record.seq })
    }
    this.#isClosed = record.type === 'close'
    this.#isUsed ||= !BEFORE_USE.some((type) => type === record.type)
    const settles = settlesOf(record)
    if (settles.kind === 'opens') this.#opened(settles.decisionId, Date.parse(record.t))
    if (settles.kind === 'closes' && !this.#open.delete(settles.decisionId)) this.#settledUnseen(settles.decisionId)
  }

  #opened(id: string, timeMs: number): void {
    if (this.#open.size < REMEMBERED_MAX) this.#open.set(id, timeMs)
    else this.findings.skip()
  }

  #settledUnseen(id: string): void {
    if (this.#unmatched.size < REMEMBERED_MAX) this.#unmatched.add(id)
    else this.findings.skip()
  }

  /** Whether there is any record but those of the log's birth, which are signed before a caller can append. */
  get isUsed(): boolean {
    return this.#isUsed
  }

  /** Settlements whose decisions must be looked for among the records that are past, and in other logs. */
  get unmatched(): ReadonlySet<string> {
    return this.#unmatched
  }

  /** A decision was found here or in another log. */
  matched(id: string): void {
    this.#unmatched.delete(id)
  }

  /** Another log settled it. */
  settledElsewhere(id: string): void {
    this.#open.delete(id)
  }

  end(nowMs: number): FindingList {
    for (const [id, timeMs] of this.#open) {
      const isDue = this.#isClosed && nowMs - timeMs > SETTLED_WITHIN_MS
      this.findings.add({ kind: 'OPEN_RESERVATION', id, isDue })
    }
    for (const id of this.#unmatched) this.findings.add({ kind: 'SETTLE_WITHOUT_DECISION', id })
    return this.findings
  }
}
