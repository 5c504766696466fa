import type { Hold, ReservationId } from '../domain/reservation.ts'
import type { OpenCalls } from '../ports.ts'

/** The calls of this process that hold something, and the work that shutdown waits for. */
export interface OpenCallRegistry extends OpenCalls {
  holds(): readonly Hold[]
  /** Gives up every open call; each still settles what it used. */
  haltAll(): void
  count(): number
  /** Resolves when no tracked work is left. */
  idle(): Promise<void>
}

export function createOpenCalls(): OpenCallRegistry {
  // Owned by this registry alone; one event loop, so no lock.
  const calls = new Map<ReservationId, { readonly hold: Hold; readonly halt: () => void }>()
  const work = new Set<Promise<unknown>>()
  return {
    open(hold, halt) {
      calls.set(hold.id, { hold, halt })
    },
    close(id) {
      calls.delete(id)
    },
    track(promise) {
      work.add(promise)
      const forget = () => work.delete(promise)
      promise.then(forget, forget)
    },
    holds: () => [...calls.values()].map((call) => call.hold),
    haltAll() {
      for (const call of calls.values()) call.halt()
    },
    count: () => calls.size,
    async idle() {
      while (work.size > 0) await Promise.allSettled(work)
    },
  }
}
