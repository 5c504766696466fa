/**
 * Which server of a Cluster has which slot, as CLUSTER SLOTS tells it. (Its successor CLUSTER SHARDS came with Redis 7.)
 */
import { LedgerUnavailable } from '../../../domain/failures.ts'
import type { Endpoint } from './redirection.ts'
import { SLOTS } from './slot.ts'

/** Primaries by slot. */
export class SlotMap {
  readonly #bySlot: (Endpoint | undefined)[] = Array.from({ length: SLOTS })

  ownerOf(slot: number): Endpoint | undefined {
    return this.#bySlot[slot]
  }

  own(slot: number, owner: Endpoint): void {
    this.#bySlot[slot] = owner
  }

  /** Every server that has a slot, by its address. */
  owners(): ReadonlyMap<string, Endpoint> {
    return new Map(this.#bySlot.flatMap((owner) => (owner === undefined ? [] : [[addressOf(owner), owner] as const])))
  }
}

export function addressOf({ host, port }: Endpoint): string {
  return `${host}:${port}`
}

/** `asked`: who told it. A server that does not know its own name answers an empty one, and is where it was asked. */
export function readSlotMap(reply: unknown, asked: Endpoint): SlotMap {
  const map = new SlotMap()
  for (const range of listOf(reply)) {
    const [first, last, primary] = listOf(range)
    const [host, port] = listOf(primary)
    const owner = {
      host: typeof host === 'string' && host !== '' && host !== '?' ? host : asked.host,
      port: slotNumber(port, 65_535),
    }
    const end = slotNumber(last, SLOTS - 1)
    for (let slot = slotNumber(first, SLOTS - 1); slot <= end; slot += 1) map.own(slot, owner)
  }
  return map
}

function listOf(value: unknown): readonly unknown[] {
  if (Array.isArray(value)) return value
  throw new LedgerUnavailable('Redis: CLUSTER SLOTS answered something else', { maybeDone: false })
}

function slotNumber(value: unknown, max: number): number {
  const number = typeof value === 'string' || typeof value === 'number' ? Number(value) : Number.NaN
  if (Number.isSafeInteger(number) && number >= 0 && number <= max) return number
  throw new LedgerUnavailable('Redis: CLUSTER SLOTS answered something else', { maybeDone: false })
}
