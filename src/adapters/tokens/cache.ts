/**
 * Verdicts on tokens that were verified, so that a token costs its signature once a minute and not once a call.
 *
 * Keyed by the SHA-256 of the exact text: another spelling of the same token is another entry, and no token is kept. Only
 * verified tokens get in, so nobody can push entries out with made-up ones.
 */
import type { TokenVerdict } from '../../ports.ts'
import type { KeySet } from './key-set.ts'

/** About 10 MB with the identities; a token that falls out is verified again. */
export const CACHE_ENTRIES_MAX = 10_000

/** How long a verdict may outlive a change at the issuer that this process cannot see. */
export const CACHE_LIFE_MAX_MS = 60_000

/** Holds the keys that vouch for an entry: once others are in force, the entry is worth nothing. */
export interface Voucher {
  readonly inForce: KeySet | undefined
  refreshWhenDue(): void
}

export interface CachedVerdict {
  /** Settled already: the same promise answers every caller, so a hit allocates nothing. */
  readonly verdict: Promise<TokenVerdict>
  readonly untilMs: number
  readonly voucher: Voucher
  readonly keys: KeySet
}

export class VerdictCache {
  /** Least recently used first: a `Map` keeps the order of insertion, and a hit inserts again. */
  readonly #entries = new Map<string, CachedVerdict>()

  get size(): number {
    return this.#entries.size
  }

  get(digest: string, nowMs: number): Promise<TokenVerdict> | undefined {
    const entry = this.#entries.get(digest)
    if (entry === undefined) return undefined
    this.#entries.delete(digest)
    // Also on a hit, so that a key which left its set is noticed however well the cache serves.
    entry.voucher.refreshWhenDue()
    if (nowMs >= entry.untilMs || entry.keys !== entry.voucher.inForce) return undefined
    this.#entries.set(digest, entry)
    return entry.verdict
  }

  put(digest: string, entry: CachedVerdict): void {
    this.#entries.delete(digest)
    if (this.#entries.size >= CACHE_ENTRIES_MAX) {
      const [oldest] = this.#entries.keys()
      if (oldest !== undefined) this.#entries.delete(oldest)
    }
    this.#entries.set(digest, entry)
  }

  clear(): void {
    this.#entries.clear()
  }
}
