import type { Command } from 'commander'
import { openDataFolder } from '../compose/data-folder.ts'
import type { DataFolder, LedgerView } from '../compose/data-folder.ts'
import { loadRules } from '../compose/rules.ts'
import type { Config } from '../config/config.ts'
import { LoggedLedger } from '../domain/ledger/logged-ledger.ts'
import { NearestBudgets, shareOf } from '../domain/ledger/nearest-budgets.ts'
import type { BudgetStanding } from '../domain/ledger/nearest-budgets.ts'
import { readKeysWith } from '../domain/policy/policy-keys.ts'
import type { KeyReader } from '../domain/policy/policy-keys.ts'
import { writeAmount } from '../domain/audit/record-texts.ts'
import type { Cli } from './output.ts'
import { json, table, UsageError } from './output.ts'
import { addRebuild } from './ledger-rebuild.ts'
import { readDataFolder, readSettings, withSettings } from './settings.ts'

/** Open holds listed at most: the oldest are the ones somebody looks for. */
const HOLDS_SHOWN_MAX = 100

/** Budgets listed at most, those with the least left. */
const BUDGETS_SHOWN_MAX = 100

/** Pages read of a shared ledger: some two million keys of Redis, half a minute at most. */
const PAGES_MAX = 2_000

interface ShowOptions {
  readonly config?: string
  readonly data?: string
  readonly json?: boolean
}

/** One open hold as it is shown: whose call, how old, what it holds. */
interface ShownHold {
  readonly id: string
  readonly since: string
  readonly ageSeconds: number
  /** The log that records the call. */
  readonly owner: string
  /** Absent for a ledger in a gateway's own memory. */
  readonly leaseUntil?: string
  readonly charges: readonly { readonly key: string; readonly rule?: string; readonly amount: string | number }[]
}

interface Shown {
  readonly holds: readonly ShownHold[]
  /** Whether there are more than these. */
  readonly moreHolds: boolean
  readonly budgets: readonly BudgetStanding[]
  /** How many there are, as far as they were looked at. */
  readonly budgetsSeen: number
  /** Whether every budget was looked at. */
  readonly complete: boolean
}

/** `ledger show`: who holds what, and the budgets that are nearest to their limit. */
export function addLedger(program: Command, cli: Cli): void {
  const ledger = program.command('ledger').description('look at limits and budgets')
  withSettings(ledger.command('show'))
    .description('open holds, oldest lease first, and the budgets of which the least is left')
    .option('--json', 'one JSON object')
    .action(async (options: ShowOptions) => show(options, cli))
  addRebuild(ledger, cli)
}

async function show(options: ShowOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  // A shared ledger is looked at from anywhere, also where no gateway has run.
  const folder = config.ledger.kind === 'memory' ? readDataFolder(config) : openDataFolder(config)
  const nowMs = Date.now()
  await using shared = folder.sharedLedger()
  const shown = shared === undefined ? await readLog(folder, nowMs) : await readLedger(shared, config, nowMs)
  if (options.json === true) return cli.terminal.out(json(toJson(config, shown)))
  writeHolds(shown, cli)
  writeBudgets(shown, cli)
}

/** Rules are known by the policy files: the ledger has their ids alone. */
async function readLedger(ledger: LedgerView, config: Config, nowMs: number): Promise<Shown> {
  const rules = await loadRules(config, nowMs)
  if (rules.kind === 'invalid') throw new UsageError('the policy or price files are wrong; run tollgate check')
  const keys = readKeysWith(rules.policy, nowMs)
  const holds = await ledger.holds(HOLDS_SHOWN_MAX + 1)
  const nearest = new NearestBudgets(BUDGETS_SHOWN_MAX)
  const pages = ledger.budgets((key) => keys.currentBudget(key) !== undefined)
  const complete = await nearest.addPages(pages, keys, PAGES_MAX)
  return {
    holds: holds.slice(0, HOLDS_SHOWN_MAX).map((hold) => ({
      ...aged(hold.id, hold.atUs / 1_000, nowMs),
      owner: hold.owner,
      leaseUntil: new Date(hold.leaseUntilMs).toISOString(),
      charges: hold.charges.map((charge) => shownCharge(charge, keys)),
    })),
    moreHolds: holds.length > HOLDS_SHOWN_MAX,
    budgets: nearest.list(),
    budgetsSeen: nearest.seen,
    complete,
  }
}

async function readLog(folder: DataFolder, nowMs: number): Promise<Shown> {
  const logged = new LoggedLedger(nowMs)
  for await (const record of folder.records()) logged.add(record)
  const [holds, budgets] = [logged.holds(), logged.budgets()]
  const nearest = new NearestBudgets(BUDGETS_SHOWN_MAX)
  for (const budget of budgets) nearest.add(budget)
  return {
    holds: holds.slice(0, HOLDS_SHOWN_MAX).map((hold) => ({
      ...aged(hold.id, hold.sinceMs, nowMs),
      owner: hold.owner,
      charges: hold.charges.map(({ key, rule, unit, amount }) => ({ key, rule, amount: writeAmount(unit, amount) })),
    })),
    moreHolds: holds.length > HOLDS_SHOWN_MAX,
    budgets: nearest.list(),
    budgetsSeen: nearest.seen,
    complete: true,
  }
}

function aged(id: string, sinceMs: number, nowMs: number): Pick<ShownHold, 'id' | 'since' | 'ageSeconds'> {
  const ageSeconds = Math.max(0, Math.round((nowMs - sinceMs) / 1_000))
  return { id, since: new Date(sinceMs).toISOString(), ageSeconds }
}

/** Without its rule, nobody knows the unit: then the amount is in the ledger's own, nano-dollars or pieces. */
function shownCharge({ key, amount }: { readonly key: string; readonly amount: number }, keys: KeyReader) {
  const rule = keys.ruleOf(key)
  return rule === undefined ? { key, amount } : { key, rule: rule.name, amount: writeAmount(rule.unit, amount) }
}

function toJson(config: Config, { budgets, ...shown }: Shown): object {
  return { ledger: config.ledger.kind, ...shown, budgets: budgets.map(toJsonBudget) }
}

function toJsonBudget(budget: BudgetStanding): object {
  const { rule, key, unit, settled, held, limit, windowEndMs } = budget
  const share = shareOf(budget)
  return {
    rule,
    key,
    unit,
    settled: writeAmount(unit, settled),
    held: writeAmount(unit, held),
    limit: limit === undefined ? null : writeAmount(unit, limit),
    share: share === undefined ? null : Number(share.toFixed(4)),
    windowEnds: windowEndMs === null ? null : new Date(windowEndMs).toISOString(),
  }
}

function writeHolds({ holds, moreHolds }: Shown, cli: Cli): void {
  cli.terminal.out(`${moreHolds ? 'more than ' : ''}${holds.length} open holds`)
  const rows = holds.map(({ ageSeconds, id, owner, leaseUntil, charges }) => [
    `${ageSeconds}s`,
    id,
    owner,
    leaseUntil ?? '-',
    charges.map(({ key, rule, amount }) => `${rule === undefined ? '' : `${rule} `}${key}=${amount}`).join(', '),
  ])
  if (rows.length > 0) cli.terminal.out(table(['age', 'reservation', 'owner', 'lease until', 'holds'], rows))
}

function writeBudgets({ budgets, budgetsSeen, complete }: Shown, cli: Cli): void {
  cli.terminal.out(
    `${complete ? '' : 'more than '}${budgetsSeen} budgets${budgetsSeen > budgets.length ? `, the nearest ${budgets.length}` : ''}`,
  )
  const rows = budgets.map((budget) => {
    const { rule, key, unit, settled, held, limit, windowEndMs } = budget
    const share = shareOf(budget)
    const write = (amount: number) => String(writeAmount(unit, amount))
    const ends = windowEndMs === null ? 'never' : new Date(windowEndMs).toISOString()
    const used = share === undefined ? '-' : `${Math.floor(share * 100)}%`
    return [used, rule, key, unit, write(settled), write(held), limit === undefined ? '-' : write(limit), ends]
  })
  const header = ['used', 'rule', 'accumulator', 'unit', 'settled', 'held', 'limit', 'window ends']
  if (rows.length > 0) cli.terminal.out(table(header, rows))
}
