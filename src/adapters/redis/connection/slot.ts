/** Slots of a Redis Cluster: CRC16 (XMODEM) of a key's hash tag, modulo 16,384; see the Redis Cluster specification. */

export const SLOTS = 16_384

const POLYNOMIAL = 0x1021
const TAG = /\{([^}]+)\}/

/** The slot of a key: only what stands between its first braces counts, so that keys of one shard share a slot. */
export function slotOf(key: string): number {
  return crc16(TAG.exec(key)?.[1] ?? key) % SLOTS
}

function crc16(text: string): number {
  let sum = 0
  for (const byte of Buffer.from(text)) {
    sum ^= byte << 8
    for (let bit = 0; bit < 8; bit += 1) {
      sum = (sum & 0x8000) === 0 ? sum << 1 : (sum << 1) ^ POLYNOMIAL
    }
    sum &= 0xffff
  }
  return sum
}
