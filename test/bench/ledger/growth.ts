/** Whether a decision costs more when many have been counted: every identity decides once, then random ones are measured. */
import type { Contestant, ContestantName } from './contestant.ts'
import { manyAtOnce } from './measure.ts'
import type { Throughput } from './measure.ts'
import type { Size } from './mixes.ts'

export interface Grown extends Throughput {
  readonly contestant: ContestantName
  readonly identities: number
  /** What the store grew by for each identity, settled reservations left out. */
  readonly bytesPerIdentity: number
}

/** A rate, a ring, a place and a budget: what a caller of a small policy touches. */
const SIZE: Size = 4

/** Identities counted at the same time while the store is filled. */
const FILLING = 256

export async function grow(
  contestant: Contestant,
  { identities, seconds }: { readonly identities: number; readonly seconds: number },
): Promise<Grown> {
  const before = (await contestant.bytes?.()) ?? 0
  let next = 0
  const fill = async () => {
    while (next < identities) {
      const identity = next
      next += 1
      await decide(contestant, identity)
    }
  }
  await Promise.all(Array.from({ length: FILLING }, fill))
  const after = (await contestant.bytes?.()) ?? 0
  const measure = () => manyAtOnce(contestant, { seconds, identities }, (identity) => decide(contestant, identity))
  // Once for nothing: the engine still tidies up after the filling.
  await measure()
  const measured = await measure()
  return {
    contestant: contestant.name,
    identities,
    bytesPerIdentity: Math.max(0, (after - before) / identities),
    ...measured,
  }
}

async function decide(contestant: Contestant, identity: number): Promise<void> {
  const close = await contestant.open(SIZE, identity)
  await close?.()
}
