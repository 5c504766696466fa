import { randomBytes } from 'node:crypto'
import type { Clock, Ids } from '../../ports.ts'

/** Random bytes are drawn for this many ids at once: one system call for all of them. */
const IDS_PER_DRAW = 256
const RANDOM_BYTES = 10
const HEX_PER_ID = RANDOM_BYTES * 2

/** UUIDv7 (RFC 9562, section 5.7): 48 bits of epoch milliseconds, version, variant, 74 random bits. */
export function createIds(clock: Clock): Ids {
  let pool = ''
  let used = 0
  let time = { ms: Number.NaN, text: '' }
  return {
    next() {
      const ms = clock.nowMs()
      if (ms !== time.ms) time = { ms, text: timeText(ms) }
      if (used === pool.length) {
        pool = randomBytes(IDS_PER_DRAW * RANDOM_BYTES).toString('hex')
        used = 0
      }
      const hex = pool.slice(used, used + HEX_PER_ID)
      used += HEX_PER_ID
      return `${time.text}-7${hex.slice(0, 3)}-${variant(hex.charAt(3))}${hex.slice(4, 7)}-${hex.slice(7, 19)}`
    },
  }
}

function timeText(ms: number): string {
  const time = ms.toString(16).padStart(12, '0')
  return `${time.slice(0, 8)}-${time.slice(8)}`
}

/** The bits 10, then two random ones. */
function variant(digit: string): string {
  return '89ab'.charAt(Number.parseInt(digit, 16) & 3)
}
