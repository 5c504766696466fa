import { NOTE_KEPT_MS } from '../domain/ledger/accumulator-geometry.ts'
import type { AuditRecord } from '../domain/audit/audit-record.ts'
import { settledAmounts } from '../domain/ledger/balances.ts'
import { readLocalHold } from '../domain/ledger/local-plan.ts'
import { textOf } from '../domain/audit/record-members.ts'
import type { Hold } from '../domain/ledger/reservation.ts'
import type { Ledger } from '../ports/ledger.ts'

/**
 * What was posted of a call before its process died is recognised for as long as its note is kept; an hour less covers
 * clocks that differ. Older spends are in the log alone.
 */
const POST_WITHIN_MS = NOTE_KEPT_MS - 3_600_000

/** With a note, a settlement is recognised for a day. It says nothing that the log does not. */
const NOTE = 'from the log'

/** Spends that a process decided on its own and may have died with before the ledger had them. */
export class LocalSpends {
  readonly #nowMs: number
  /** Decisions by their reservation, until they are settled. */
  readonly #open = new Map<string, Hold>()
  readonly #settled: { readonly hold: Hold; readonly actual: readonly number[] }[] = []

  constructor(nowMs: number) {
    this.#nowMs = nowMs
  }

  /** Records in the order of the log. */
  note(record: AuditRecord): void {
    const decided = readLocalHold(record)
    if (decided !== undefined) this.#open.set(decided.id, decided)
    const hold = record.type === 'settle' ? this.#open.get(textOf(record['rsv'])) : undefined
    if (hold === undefined) return
    this.#open.delete(hold.id)
    // A record that is being written now has no instant yet.
    const atMs = record.t === '' ? this.#nowMs : Date.parse(record.t)
    if (this.#nowMs - atMs < POST_WITHIN_MS) this.#settled.push({ hold, actual: settledAmounts(record, hold.charges) })
  }

  /** A ledger that has a call posts it no second time. */
  async post(ledger: Ledger): Promise<void> {
    for (const { hold, actual } of this.#settled) await ledger.settle(hold, actual, { note: NOTE, force: true })
  }
}
