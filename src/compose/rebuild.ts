/**
 * A shared ledger and the logs of data folders, for a command: where they differ, and how the ledger is rebuilt. Works beside
 * running gateways, which tell their own logs, and without any: then the command tells those of its data folder.
 */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { claimIdleLogs } from '../adapters/audit-log/idle-logs.ts'
import { queryRecords } from '../adapters/audit-log/query.ts'
import type { StoredLedger } from '../adapters/redis/ledger.ts'
import { createStoreNotes } from '../adapters/system/store-notes.ts'
import type { SettledBalance } from '../domain/ledger/balances.ts'
import { differences } from '../domain/ledger/ledger-difference.ts'
import type { LedgerDifference, Reading } from '../domain/ledger/ledger-difference.ts'
import { foldLog } from '../domain/ledger/log-fold.ts'
import type { Policy } from '../domain/policy/policy.ts'
import { readKeysWith } from '../domain/policy/policy-keys.ts'
import { shardsOfRules } from '../domain/policy/rule-shards.ts'
import type { StoreView } from '../ports/ledger-store.ts'
import { tellIdle } from '../upkeep/telling.ts'

/** How long the command waits for gateways to tell their logs: each does within a second. */
const WAIT_MS = 15_000
const STEP_MS = 100

interface Rebuilding {
  readonly ledger: StoredLedger
  readonly dataDir: string
  readonly policy: Policy
}

/** What the ledger says beyond, or short of, the logs of these data folders. */
export async function compare(
  { ledger, policy }: Pick<Rebuilding, 'ledger' | 'policy'>,
  dataDirs: readonly string[],
): Promise<readonly LedgerDifference[]> {
  const nowMs = Date.now()
  const keys = readKeysWith(policy, nowMs)
  const isCounted = (key: string) => keys.currentBudget(key) !== undefined
  const before = await settledIn(ledger, isCounted)
  const logged: SettledBalance[] = []
  for (const dataDir of dataDirs) {
    const fold = foldLog(nowMs)
    for await (const record of queryRecords(dataDir, {})) fold.add(record)
    logged.push(...fold.settled().filter(({ key }) => isCounted(key)))
  }
  const after = await settledIn(ledger, isCounted)
  const readings = new Map<string, Reading>()
  for (const key of new Set([...before.keys(), ...after.keys()])) {
    readings.set(key, { before: before.get(key) ?? 0, after: after.get(key) ?? 0 })
  }
  return differences(logged, readings, (key) => keys.ruleOf(key))
}

async function settledIn(
  ledger: StoredLedger,
  isCounted: (key: string) => boolean,
): Promise<ReadonlyMap<string, number>> {
  const sums = new Map<string, number>()
  for await (const { budgets } of ledger.budgets(isCounted)) {
    for (const { key, settled } of budgets) sums.set(key, settled)
  }
  return sums
}

/** Begins a new epoch whatever the store says, when it is still as it was seen. */
export async function beginAgain({ ledger: { store } }: Rebuilding, seen: StoreView): Promise<void> {
  await store.wipe(seen.seen)
}

/** Does what is left to do until the store is open; answers how it stands after a while. */
export async function rebuild(rebuilding: Rebuilding, without: readonly string[]): Promise<StoreView> {
  const { store } = rebuilding.ledger
  const untilMs = performance.now() + WAIT_MS
  for (;;) {
    const view = await store.view()
    if (view.state === 'open' || performance.now() > untilMs) return view
    if (view.state === 'lost') await store.wipe(view.seen)
    else await step(rebuilding, view, without)
    await sleep(STEP_MS)
  }
}

async function step(
  { ledger: { store }, dataDir, policy }: Rebuilding,
  view: StoreView,
  without: readonly string[],
): Promise<void> {
  for (const origin of without) await store.giveUp(view.epoch, origin)
  const expected = (await peersOf(dataDir)).filter((origin) => !without.includes(origin))
  const idle = await claimIdleLogs(dataDir).catch(() => [])
  try {
    for (const log of idle.filter(({ origin }) => !view.told.has(origin))) {
      await tellIdle(log, { store, shardOf: () => shardsOfRules(policy) }, { epoch: view.epoch, expected })
    }
  } finally {
    for (const log of idle) log[Symbol.dispose]()
  }
  // A store that nobody has told anything yet is not opened by a command: its gateways may not have looked yet.
  if ((await store.view()).told.size > 0) await store.openEpoch(view.epoch)
}

/** Gateways that those of this data folder knew of. */
async function peersOf(dataDir: string): Promise<readonly string[]> {
  const folder = join(dataDir, 'ledger')
  const names = await readdir(folder).catch(() => [])
  const notes = names
    .filter((name) => name.endsWith('.json'))
    .map((name) => createStoreNotes(join(folder, name)).read())
  return [...new Set((await Promise.all(notes)).flatMap((memory) => memory?.peers ?? []))]
}
