import { basename, join } from 'node:path'
import { claimIdleLogs } from '../adapters/audit-log/idle-logs.ts'
import { createMemoryLedger } from '../adapters/memory/ledger.ts'
import { withStandIn } from '../adapters/memory/stand-in.ts'
import { createRedisLedger } from '../adapters/redis/ledger.ts'
import { systemClock } from '../adapters/system/clock.ts'
import type { Restore } from '../upkeep/recovery.ts'
import { createStoreNotes } from '../adapters/system/store-notes.ts'
import type { Config } from '../config/config.ts'
import type { Policy } from '../domain/policy/policy.ts'
import { shardsOfRules } from '../domain/policy/rule-shards.ts'
import type { World } from '../ports.ts'
import type { Events } from '../ports/events.ts'
import type { LedgerStore } from '../ports/ledger-store.ts'
import type { Ledger } from '../ports/ledger.ts'
import { LedgerKeeper } from '../upkeep/ledger-keeper.ts'
import type { OpenCallRegistry } from '../upkeep/open-calls.ts'

export interface OpenedLedger {
  readonly ledger: Ledger
  /** Gives balances back; present on a ledger that forgets on exit. */
  readonly restore: Restore | undefined
  /** To be told how many nodes there are; undefined where nobody needs to know. */
  readonly nodesHeard: ((nodes: number) => void) | undefined
  /** Present on a ledger whose store can be lost apart from the process. */
  readonly store: LedgerStore | undefined
}

interface Around {
  readonly events: Events
  readonly openCalls: OpenCallRegistry
  readonly policy: Policy
  /** Origin of this gateway's log. */
  readonly owner: string
}

/** The ledger that the configuration names. Where a rule says so, somebody stands in for it while it is away. */
export function openLedger(config: Config, around: Around): OpenedLedger {
  if (config.ledger.kind === 'memory') {
    const ledger = createMemoryLedger({ clock: systemClock })
    return {
      ledger,
      restore: (balances, spans) => ledger.restore(balances, spans),
      nodesHeard: undefined,
      store: undefined,
    }
  }
  const onUndelivered = (error: unknown) => around.events.ledgerFailed('give_back', error)
  const ledger = createRedisLedger({ ...config.ledger, owner: around.owner, onUndelivered })
  if (isLocalSomewhere(around.policy)) {
    return { ...stoodInFor(ledger, around), restore: undefined, store: ledger.store }
  }
  return { ledger, restore: undefined, nodesHeard: undefined, store: ledger.store }
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

/**
 * How long a start waits for the ledger's store to open: a new or good one takes milliseconds. One that waits for another
 * gateway opens later; until then calls are told so.
 */
const OPENING_MS = 5_000

/** Keeps watch over the ledger's store, and opens it; a ledger in memory has none. */
export function storeKeeper(
  parts: { readonly world: World; readonly openCalls: OpenCallRegistry; readonly config: Config },
  store: LedgerStore | undefined,
  scope: AsyncDisposableStack,
): (onFirstOpening: (isSameEpoch: boolean) => Promise<void>) => Promise<void> {
  const { world, openCalls, config } = parts
  return async (onFirstOpening) => {
    if (store === undefined) return onFirstOpening(true)
    const file = join(config.dataDir, 'ledger', `${basename(world.auditLog.origin)}.json`)
    const keeper = new LedgerKeeper({
      ...world,
      store,
      openCalls,
      onFirstOpening,
      idleLogs: () => claimIdleLogs(config.dataDir),
      notes: createStoreNotes(file),
      shardOf: () => shardsOfRules(world.rules.policy()),
    })
    scope.use(keeper)
    await keeper.start(OPENING_MS)
  }
}
