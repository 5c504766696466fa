import { createMemoryLedger } from '../adapters/memory/ledger.ts'
import { withStandIn } from '../adapters/memory/stand-in.ts'
import { createRedisLedger } from '../adapters/redis/ledger.ts'
import { systemClock } from '../adapters/system/clock.ts'
import type { Restore } from '../upkeep/recovery.ts'
import type { Config } from '../config/config.ts'
import type { Policy } from '../domain/policy.ts'
import type { Events } from '../ports/events.ts'
import type { Ledger } from '../ports/ledger.ts'
import type { OpenCallRegistry } from '../upkeep/open-calls.ts'

export interface OpenedLedger {
  readonly ledger: Ledger
  /** Gives balances back; present on a ledger that forgets on exit. */
  readonly restore: Restore | undefined
  /** To be told how many nodes there are; undefined where nobody needs to know. */
  readonly nodesHeard: ((nodes: number) => void) | undefined
}

interface Around {
  readonly events: Events
  readonly openCalls: OpenCallRegistry
  readonly policy: Policy
}

/** The ledger that the configuration names. Where a rule says so, somebody stands in for it while it is away. */
export function openLedger(config: Config, around: Around): OpenedLedger {
  if (config.ledger.kind === 'redis') {
    const ledger = createRedisLedger({ url: config.ledger.url })
    if (isLocalSomewhere(around.policy)) return { ...stoodInFor(ledger, around), restore: undefined }
    return { ledger, restore: undefined, nodesHeard: undefined }
  }
  const ledger = createMemoryLedger({ clock: systemClock })
  return { ledger, restore: (balances, spans) => ledger.restore(balances, spans), nodesHeard: undefined }
}

function isLocalSomewhere({ limits, budgets }: Policy): boolean {
  return [...limits, ...budgets].some((rule) => rule.onLedgerError === 'local')
}

function stoodInFor(
  ledger: Ledger,
  { events, openCalls }: Around,
): Pick<Required<OpenedLedger>, 'ledger' | 'nodesHeard'> {
  let nodes: number | undefined
  const stoodIn = withStandIn({
    ledger,
    clock: systemClock,
    events,
    nodes: () => nodes,
    // Not released: a process that dies before its log knows this must find the settlement in the ledger.
    posted: (id) => openCalls.done(id, 'ledger', false),
  })
  return { ledger: stoodIn, nodesHeard: (heard) => (nodes = heard) }
}
