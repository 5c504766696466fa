/**
 * Records on their way to the disk, oldest first, and who waits for each: bounded, because a disk that stands still must
 * not fill the memory.
 */
import { AuditUnavailable } from '../../domain/failures.ts'
import type { Signed } from '../../ports/audit-log.ts'

/** More than a disk syncs in the time that callers wait; beyond this they are told to come again. */
const WAITING_RECORDS_MAX = 8192
const WAITING_BYTES_MAX = 16 * 1024 * 1024

interface Waiting {
  readonly bytes: number
  readonly resolve: (signed: Signed) => void
  readonly reject: (error: AuditUnavailable) => void
}

/** Changed on the event loop only; the thread that writes answers in the order of `add`. */
export class WaitingRecords {
  readonly #waiting: Waiting[] = []
  #bytes = 0

  get hasRoom(): boolean {
    return this.#waiting.length < WAITING_RECORDS_MAX && this.#bytes < WAITING_BYTES_MAX
  }

  /** Settles when the record is answered. Throws when no more may wait. */
  add(bytes: number): Promise<Signed> {
    if (this.#waiting.length >= WAITING_RECORDS_MAX || this.#bytes + bytes > WAITING_BYTES_MAX) {
      throw new AuditUnavailable(`${this.#waiting.length} records are waiting for the disk already`)
    }
    const { promise, resolve, reject } = Promise.withResolvers<Signed>()
    this.#waiting.push({ bytes, resolve, reject })
    this.#bytes += bytes
    return promise
  }

  /** The oldest `count`, which wait no longer; all of them without a count. */
  take(count = this.#waiting.length): readonly Waiting[] {
    const taken = this.#waiting.splice(0, count)
    for (const { bytes } of taken) this.#bytes -= bytes
    return taken
  }
}
