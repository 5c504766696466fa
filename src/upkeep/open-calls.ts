import type { Hold, ReservationId } from '../domain/reservation.ts'
import type { OpenCalls, Store } from '../ports.ts'

/** A call that the ledger, the log or both still have to hear the end of. */
export interface OpenCall {
  readonly hold: Hold
  /** What each charge becomes, in their order; undefined while the call goes on. */
  readonly settled: readonly number[] | undefined
}

export interface OwedRecord {
  readonly id: ReservationId
  readonly write: () => Promise<unknown>
}

/** The calls of this process that hold something, and the work that shutdown waits for. */
export interface OpenCallRegistry extends OpenCalls {
  /** All calls of which not both stores have acknowledged the end. */
  calls(): readonly OpenCall[]
  /** The holds whose settlement the ledger has not acknowledged and that are not too old: they need their lease. */
  holds(): readonly Hold[]
  /** Gives up the calls that are older than this, and lets go of their leases; answers how many were not given up before. */
  haltOver(ageMs: number): number
  /** Gives up every open call; each still settles what it used. */
  haltAll(): void
  count(): number
  /** Settlements that the log still has to take. */
  owed(): readonly OwedRecord[]
  /** Takes away at most `max` holds whose settlement both stores have, oldest first. */
  takeFinished(max: number): readonly Hold[]
  /** Resolves when no tracked work is left. */
  idle(): Promise<void>
}

interface Entry extends OpenCall {
  readonly halt: () => void
  readonly owed: ReadonlySet<Store>
  readonly isWritten: boolean
  readonly write?: OwedRecord['write']
  readonly openedMs: number
  readonly isTooOld: boolean
}

/** Finished holds that are remembered until somebody takes them: seconds of a busy node. The ledger forgets others by itself. */
const FINISHED_MAX = 100_000

/** `now`: milliseconds of a clock that nobody sets. */
export function createOpenCalls(now: () => number = () => performance.now()): OpenCallRegistry {
  // Owned by this registry alone; one event loop, so no lock.
  const calls = new Map<ReservationId, Entry>()
  const finished: Hold[] = []
  const work = new Set<Promise<unknown>>()
  return {
    open(hold, halt) {
      const owed = new Set<Store>(['ledger', 'audit'])
      const openedMs = now()
      calls.set(hold.id, { hold, halt, settled: undefined, owed, isWritten: true, openedMs, isTooOld: false })
    },
    settling(id, amounts) {
      const call = calls.get(id)
      if (call !== undefined) calls.set(id, { ...call, settled: amounts })
    },
    owe(id, write) {
      const call = calls.get(id)
      if (call !== undefined) calls.set(id, { ...call, write })
    },
    owed: () => [...calls.values()].flatMap(({ hold: { id }, write }) => (write === undefined ? [] : [{ id, write }])),
    done(id, store, isWritten) {
      const call = calls.get(id)
      if (call === undefined) return
      const owed = new Set([...call.owed].filter((one) => one !== store))
      const after = { ...call, owed, isWritten: call.isWritten && isWritten }
      if (owed.size > 0) return void calls.set(id, after)
      calls.delete(id)
      if (after.isWritten && finished.length < FINISHED_MAX) finished.push(call.hold)
    },
    track(promise) {
      work.add(promise)
      const forget = () => work.delete(promise)
      promise.then(forget, forget)
    },
    calls: () => [...calls.values()].map(({ hold, settled }) => ({ hold, settled })),
    holds: () =>
      [...calls.values()].filter(({ owed, isTooOld }) => owed.has('ledger') && !isTooOld).map(({ hold }) => hold),
    haltOver(ageMs) {
      const openedBefore = now() - ageMs
      const over = [...calls.values()].filter(({ openedMs, isTooOld }) => openedMs < openedBefore && !isTooOld)
      for (const call of over) {
        calls.set(call.hold.id, { ...call, isTooOld: true })
        call.halt()
      }
      return over.length
    },
    haltAll() {
      for (const call of calls.values()) call.halt()
    },
    count: () => calls.size,
    takeFinished: (max) => finished.splice(0, max),
    async idle() {
      while (work.size > 0) await Promise.allSettled(work)
    },
  }
}
