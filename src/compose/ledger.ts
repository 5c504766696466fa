import { createMemoryLedger } from '../adapters/memory/ledger.ts'
import { createRedisLedger } from '../adapters/redis/ledger.ts'
import { systemClock } from '../adapters/system/clock.ts'
import type { Config } from '../config/config.ts'
import type { SettledBalance } from '../domain/balances.ts'
import type { Ledger } from '../ports/ledger.ts'

export interface OpenedLedger {
  readonly ledger: Ledger
  /** Gives balances back; present on a ledger that forgets on exit. */
  readonly restore: ((balances: readonly SettledBalance[]) => void) | undefined
}

/** The ledger that the configuration names. */
export function openLedger(config: Config): OpenedLedger {
  if (config.ledger.kind === 'redis') {
    return { ledger: createRedisLedger({ url: config.ledger.url }), restore: undefined }
  }
  const ledger = createMemoryLedger({ clock: systemClock })
  return { ledger, restore: (balances) => ledger.restore(balances) }
}
