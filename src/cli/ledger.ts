import type { Command } from 'commander'
import type { DataFolder } from '../compose/data-folder.ts'
import type { AuditRecord } from '../domain/audit-record.ts'
import { foldSettlement } from '../domain/balances.ts'
import type { SettledBalance } from '../domain/balances.ts'
import type { Unit } from '../domain/policy.ts'
import type { OpenHold } from '../domain/reservation.ts'
import type { Cli } from './output.ts'
import { json, table } from './output.ts'
import { readDataFolder, readSettings, withSettings } from './settings.ts'
import { listOf, membersOf, textOf } from '../domain/record-members.ts'
import { writeAmount } from '../domain/record-texts.ts'

/** Open holds listed at most: the oldest are the ones somebody looks for. */
const HOLDS_SHOWN_MAX = 100

interface ShowOptions {
  readonly config?: string
  readonly data?: string
  readonly json?: boolean
}

/** One open hold as it is shown: whose call, how old, what it holds. */
interface ShownHold {
  readonly id: string
  readonly since: string
  readonly leaseUntil: string | undefined
  readonly charges: readonly { readonly key: string; readonly amount: string | number }[]
}

/** `ledger show`: who holds what, and what the log says was spent of each budget. */
export function addLedger(program: Command, cli: Cli): void {
  const ledger = program.command('ledger').description('look at limits and budgets')
  withSettings(ledger.command('show'))
    .description('open holds, oldest first, and the settled balance of each budget whose window is not over')
    .option('--json', 'one JSON object')
    .action(async (options: ShowOptions) => show(options, cli))
}

async function show(options: ShowOptions, cli: Cli): Promise<void> {
  const config = readSettings({ ...options, configFile: options.config })
  const folder = readDataFolder(config)
  const nowMs = Date.now()
  const log = await readLog(folder, nowMs)
  const shared = await folder.sharedHolds(HOLDS_SHOWN_MAX)
  const holds = shared?.map(shownShared) ?? log.holds
  const running = [...log.balances.values()].filter(({ windowEndMs }) => windowEndMs === null || windowEndMs > nowMs)
  const balances = running.map((balance) => ({
    rule: balance.rule,
    key: balance.key,
    unit: balance.unit,
    settled: writeAmount(unitOf(balance.unit), balance.settled),
    windowEnds: balance.windowEndMs === null ? undefined : new Date(balance.windowEndMs).toISOString(),
  }))
  if (options.json === true) return cli.terminal.out(json({ ledger: config.ledger.kind, holds, balances }))
  cli.terminal.out(`${holds.length} open holds`)
  const held = holds.map((hold) => [
    hold.since,
    hold.id,
    hold.charges.map((charge) => `${charge.key}=${charge.amount}`).join(' '),
  ])
  if (held.length > 0) cli.terminal.out(table(['since', 'reservation', 'holds'], held))
  cli.terminal.out(`${balances.length} balances`)
  const settled = balances.map((balance) => [
    balance.rule,
    balance.key,
    balance.unit,
    String(balance.settled),
    balance.windowEnds ?? 'never',
  ])
  if (settled.length > 0) cli.terminal.out(table(['rule', 'accumulator', 'unit', 'settled', 'window ends'], settled))
}

const UNITS: readonly Unit[] = ['requests', 'tokens', 'input_tokens', 'output_tokens', 'usd', 'concurrent']

function unitOf(text: string): Unit {
  return UNITS.find((unit) => unit === text) ?? 'requests'
}

/** Open decisions and settled balances, folded from the log. */
async function readLog(
  folder: DataFolder,
  nowMs: number,
): Promise<{ holds: readonly ShownHold[]; balances: ReadonlyMap<string, SettledBalance> }> {
  const open = new Map<string, AuditRecord>()
  const balances = new Map<string, SettledBalance>()
  for await (const record of folder.records()) {
    if (record.type === 'decision' && membersOf(record['dec'])['out'] === 'admit') open.set(record.id, record)
    if (record.type !== 'settle') continue
    open.delete(textOf(membersOf(record['ref'])['id']))
    foldSettlement(record, balances, nowMs)
  }
  return { holds: [...open.values()].slice(0, HOLDS_SHOWN_MAX).map(shown), balances }
}

function shown(decision: AuditRecord): ShownHold {
  const charges = listOf(decision['bkt']).map((entry) => {
    const { id, need } = membersOf(entry)
    return { key: textOf(id), amount: typeof need === 'string' || typeof need === 'number' ? need : 0 }
  })
  return { id: textOf(decision['rsv']), since: decision.t, leaseUntil: undefined, charges }
}

function shownShared(hold: OpenHold): ShownHold {
  return {
    id: hold.id,
    since: new Date(hold.atUs / 1_000).toISOString(),
    leaseUntil: new Date(hold.leaseUntilMs).toISOString(),
    charges: hold.charges,
  }
}
