import type { Size } from './mixes.ts'

export const CONTESTANTS = ['incrby', 'memory', 'redis', 'cluster', 'cluster-apart', 'flexible'] as const
export type ContestantName = (typeof CONTESTANTS)[number]

/** One way to keep counters. A decision is `open`, then what that answered is run to correct it. */
export interface Contestant extends AsyncDisposable {
  readonly name: ContestantName
  readonly sizes: readonly Size[]
  /** Processes of the store behind it. */
  readonly storePids: readonly number[]
  /** Charges all accumulators of one identity; rejects when anything but an admission comes of it. */
  open(size: Size, identity: number): Promise<Close>
  /** A decision that finds no room; rejects when it finds some. Absent where nothing refuses. */
  refuse?(size: Size, identity: number): Promise<void>
  /** Bytes the store keeps; what only lives a while (settled reservations) is removed first. */
  bytes?(): Promise<number>
}

/** Corrects the estimate to what was spent; undefined where a decision has one step. */
export type Close = (() => Promise<void>) | undefined
