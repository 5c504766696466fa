import { randomFillSync } from 'node:crypto'
import type { Clock, Ids } from '../../ports.ts'

/** Random bytes are drawn for this many ids at once: one system call for all of them. */
const IDS_PER_DRAW = 256
const RANDOM_BYTES = 10

/** UUIDv7 (RFC 9562, section 5.7): 48 bits of epoch milliseconds, version, variant, 74 random bits. */
export function createIds(clock: Clock): Ids {
  const pool = Buffer.alloc(IDS_PER_DRAW * RANDOM_BYTES)
  let used = pool.length
  return {
    next() {
      if (used === pool.length) {
        randomFillSync(pool)
        used = 0
      }
      const random = pool.subarray(used, used + RANDOM_BYTES)
      used += RANDOM_BYTES
      return write(clock.nowMs(), random)
    },
  }
}

function write(nowMs: number, random: Buffer): string {
  const time = nowMs.toString(16).padStart(12, '0')
  const hex = random.toString('hex')
  const variant = (8 + (Number.parseInt(hex.charAt(3), 16) & 3)).toString(16)
  return `${time.slice(0, 8)}-${time.slice(8)}-7${hex.slice(0, 3)}-${variant}${hex.slice(4, 7)}-${hex.slice(7, 19)}`
}
