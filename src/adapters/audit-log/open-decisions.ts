import type { Settles } from '../../domain/audit/audit-record.ts'

/**
 * Most admitted decisions that are remembered as unsettled. A call holds something for minutes at most, so far fewer are
 * open at any time; beyond this number the oldest, long charged by its lease, is forgotten.
 */
const OPEN_MAX = 65_536

/** Which admitted decisions have no settlement yet, oldest first. */
export class OpenDecisions {
  /** Owned by the one thread that reads or writes the log. */
  readonly #ids = new Set<string>()

  apply(settles: Settles): void {
    if (settles.kind === 'opens') this.#add(settles.decisionId)
    if (settles.kind === 'closes') this.#ids.delete(settles.decisionId)
  }

  replaceAll(ids: readonly string[]): void {
    this.#ids.clear()
    for (const id of ids) this.#add(id)
  }

  list(): readonly string[] {
    return [...this.#ids]
  }

  #add(id: string): void {
    this.#ids.add(id)
    const [oldest] = this.#ids
    if (this.#ids.size > OPEN_MAX && oldest !== undefined) this.#ids.delete(oldest)
  }
}
