/**
 * All budgets there are, for reports: Redis lists its own keys, some at a time, so that no step holds up decisions.
 */
import type { BudgetPage, StoredBudget } from '../../domain/ledger/reservation.ts'
import { LedgerUnavailable } from '../../domain/failures.ts'
import type { RedisCommands } from './connection/client.ts'
import type { Keys } from './keys.ts'
import type { Scripts } from './scripts.ts'

/** Keys that Redis looks at in one step: about a millisecond. */
const KEYS_PER_STEP = 1_000

interface Parts {
  readonly redis: RedisCommands
  readonly keys: Keys
  readonly scripts: Scripts
}

/** Page by page: one step of listing, and one read of what is wanted of it. */
export async function* readBudgets(parts: Parts, wanted: (key: string) => boolean): AsyncGenerator<BudgetPage> {
  for (const { representative } of await parts.redis.stores()) yield* readStore(parts, representative, wanted)
}

/** The budgets of the server that has a shard. */
async function* readStore(
  { redis, keys, scripts }: Parts,
  shard: number,
  wanted: (key: string) => boolean,
): AsyncGenerator<BudgetPage> {
  let cursor = '0'
  do {
    const args = [cursor, keys.budgets, KEYS_PER_STEP]
    const step = toScanStep(await redis.evaluate(scripts.scan, [keys.leases(shard)], args))
    cursor = step.cursor
    const found = step.names.filter((name) => wanted(keys.budgetKey(name)))
    const fields = await redis.read(found.map((name) => ['HMGET', name, 's', 'r', 'l']))
    yield {
      seen: step.names.length,
      budgets: found.flatMap((name, index) => toBudget(keys.budgetKey(name), fields[index]) ?? []),
    }
  } while (cursor !== '0')
}

/** One step of listing: where the next begins, and the names. */
export function toScanStep(reply: unknown): { readonly cursor: string; readonly names: readonly string[] } {
  if (Array.isArray(reply)) {
    const [cursor, names]: readonly unknown[] = reply
    if (typeof cursor === 'string' && Array.isArray(names) && names.every((name) => typeof name === 'string')) {
      return { cursor, names }
    }
  }
  throw new LedgerUnavailable('Redis: a list of keys is none')
}

/** Undefined for one that has expired between the two reads. */
function toBudget(key: string, fields: unknown): StoredBudget | undefined {
  if (!Array.isArray(fields)) throw new LedgerUnavailable('Redis: a budget has no fields')
  const [settled, held, limit]: readonly unknown[] = fields
  if (typeof settled !== 'string' && typeof held !== 'string') return undefined
  return {
    key,
    settled: Number(settled ?? 0),
    held: Number(held ?? 0),
    limit: typeof limit === 'string' ? Number(limit) : undefined,
  }
}
