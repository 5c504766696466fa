import type { Hold, ReservationId } from '../domain/ledger/reservation.ts'
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

/** Owned by the registry, which changes it: every call passes here several times. */
interface Entry {
  readonly hold: Hold
  readonly halt: () => void
  readonly openedMs: number
  settled: readonly number[] | undefined
  /** Which stores are still to be done with the call, and whether those that are have written it. */
  readonly owes: Record<Store, boolean>
  isWritten: boolean
  /** What the log is owed, once it did not take it for long. */
  write: OwedRecord['write'] | undefined
  isTooOld: boolean
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
      const owes = { ledger: true, audit: true }
      const [openedMs, isWritten, isTooOld] = [now(), true, false]
      calls.set(hold.id, { hold, halt, openedMs, settled: undefined, owes, isWritten, write: undefined, isTooOld })
    },
    settling(id, amounts) {
      const call = calls.get(id)
      if (call !== undefined) call.settled = amounts
    },
    owe(id, write) {
      const call = calls.get(id)
      if (call !== undefined) call.write = write
    },
    owed: () => [...calls.values()].flatMap(({ hold: { id }, write }) => (write === undefined ? [] : [{ id, write }])),
    done(id, store, isWritten) {
      const call = calls.get(id)
      if (call === undefined) return
      call.owes[store] = false
      call.isWritten &&= isWritten
      if (store === 'audit') call.write = undefined
      if (call.owes.ledger || call.owes.audit) return
      calls.delete(id)
      if (call.isWritten && finished.length < FINISHED_MAX) finished.push(call.hold)
    },
    track(promise) {
      work.add(promise)
      const forget = () => work.delete(promise)
      promise.then(forget, forget)
    },
    calls: () => [...calls.values()].map(({ hold, settled }) => ({ hold, settled })),
    holds: () => [...calls.values()].filter(({ owes, isTooOld }) => owes.ledger && !isTooOld).map(({ hold }) => hold),
    haltOver(ageMs) {
      const openedBefore = now() - ageMs
      const over = [...calls.values()].filter(({ openedMs, isTooOld }) => openedMs < openedBefore && !isTooOld)
      for (const call of over) {
        call.isTooOld = true
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
