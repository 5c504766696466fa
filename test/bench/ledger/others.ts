/** What the ledger is compared with: the cheapest thing Redis does, and the library that most Node services count with. */
import { Redis } from 'ioredis'
import { RateLimiterRedis } from 'rate-limiter-flexible'
import type { Contestant } from './contestant.ts'
import { actualsOf, chargesOf, SIZES } from './mixes.ts'
import type { Size } from './mixes.ts'

interface Server {
  readonly url: string
  readonly pid: number
}

/** One counter, one command: no limit, no window, nothing held. The floor. */
export function incrbyContestant({ url, pid }: Server): Contestant {
  const client = new Redis(url)
  return {
    name: 'incrby',
    sizes: [1],
    storePids: [pid],
    async open(_, identity) {
      await client.incrby(`floor:${identity}`, 1)
      return undefined
    },
    async [Symbol.asyncDispose]() {
      client.disconnect()
    },
  }
}

const DAY_S = 86_400
const PLENTY = 1e14

/**
 * rate-limiter-flexible: one consume per counter, sent together, and one reward each for what was not spent. It is not one
 * step (a refusal leaves the other counters charged), holds nothing that a crash would leave to be found, and its windows
 * begin at the first use.
 */
export function flexibleContestant({ url, pid }: Server): Contestant {
  const client = new Redis(url)
  const limiter = (name: string, points: number) =>
    new RateLimiterRedis({ storeClient: client, keyPrefix: name, points, duration: DAY_S })
  const roomy = Array.from({ length: Math.max(...SIZES) }, (_, at) => limiter(`flex${at}`, PLENTY))
  const full = limiter('flexfull', 1)
  const known = new Map(SIZES.map((size) => [size, chargesOf(size, 0, { nowMs: Date.now() })]))
  const chargesOfSize = (size: Size) => known.get(size) ?? []
  const consume = (size: Size, identity: number, last: RateLimiterRedis | undefined) =>
    Promise.all(
      chargesOfSize(size).flatMap(({ amount }, at) => {
        const counter = at === size - 1 ? last : roomy[at]
        return counter === undefined ? [] : [counter.consume(`user${identity}`, amount)]
      }),
    )
  return {
    name: 'flexible',
    sizes: SIZES,
    storePids: [pid],
    async open(size, identity) {
      const charges = chargesOfSize(size)
      await consume(size, identity, roomy[size - 1])
      const actual = actualsOf(charges)
      // A place is given back whole; of everything else what was not spent.
      const back = charges.map(({ accumulator, amount }, at) =>
        accumulator.shape.kind === 'concurrency' ? amount : amount - (actual[at] ?? 0),
      )
      return async () => {
        await Promise.all(
          back.flatMap((points, at) => {
            const counter = roomy[at]
            return counter === undefined || points === 0 ? [] : [counter.reward(`user${identity}`, points)]
          }),
        )
      }
    },
    async refuse(size, identity) {
      const refused = await consume(size, identity, full).then(
        () => false,
        () => true,
      )
      if (!refused) throw new Error('flexible: admitted where there is no room')
    },
    async [Symbol.asyncDispose]() {
      client.disconnect()
    },
  }
}
