import type { Command } from 'commander'
import type { DataFolder, RecordFilter } from '../compose/data-folder.ts'
import { RECORD_TYPES } from '../domain/audit/audit-record.ts'
import type { AuditRecord, RecordType } from '../domain/audit/audit-record.ts'
import { membersOf, textOf } from '../domain/audit/record-members.ts'
import { table, UsageError } from './output.ts'
import type { Cli } from './output.ts'
import { readDataFolder, readSettings, withSettings } from './settings.ts'

interface QueryOptions {
  readonly config?: string
  readonly data?: string
  readonly type?: string
  readonly outcome?: string
  readonly code?: string
  readonly tenant?: string
  readonly team?: string
  readonly agent?: string
  readonly user?: string
  readonly issuer: string
  readonly id?: string
  readonly since?: string
  readonly until?: string
  readonly limit: string
  readonly json?: boolean
}

/** Rows of one answer: more than a person reads, little enough to print. `--limit` moves it. */
const ROWS_DEFAULT = '1000'

/** `audit query`: records of all logs of a data folder, in the order of time. */
export function addAuditQuery(audit: Command, cli: Cli): void {
  withSettings(audit.command('query'))
    .description('read records; every filter that is given must hold')
    .option('--type <type>', `one of ${RECORD_TYPES.join(', ')}`)
    .option('--outcome <word>', 'admit or refuse for decisions; ok, client_abort, crash, expired... for settlements')
    .option('--code <code>', 'code of a refusal, e.g. budget_exhausted')
    .option('--tenant <name>')
    .option('--team <name>')
    .option('--agent <name>')
    .option('--user <name>', 'a person by name; needs --tenant, because names are pseudonymised by tenant')
    .option('--issuer <name>', 'name of the issuer that vouches for --user', 'dev')
    .option('--id <id>', 'request id')
    .option('--since <time>', 'RFC 3339, inclusive')
    .option('--until <time>', 'RFC 3339, exclusive')
    .option('--limit <rows>', 'most rows', ROWS_DEFAULT)
    .option('--json', 'the records themselves, one JSON object a line')
    .action(async (options: QueryOptions) => query(options, cli))
}

async function query(options: QueryOptions, cli: Cli): Promise<void> {
  const folder = readDataFolder(readSettings({ ...options, configFile: options.config }))
  const found: AuditRecord[] = []
  for await (const record of folder.records(filterOf(options, folder))) {
    if (options.json === true) cli.terminal.out(JSON.stringify(record))
    else found.push(record)
  }
  if (options.json === true) return
  if (found.length > 0) cli.terminal.out(table(HEADER, found.map(row)))
  cli.terminal.talk(`${found.length} records`)
}

function filterOf(options: QueryOptions, folder: DataFolder): RecordFilter {
  const { outcome, code, tenant, team, agent, id } = options
  return {
    ...(options.type !== undefined && { types: [typeOf(options.type)] }),
    ...(options.since !== undefined && { sinceMs: instant('--since', options.since) }),
    ...(options.until !== undefined && { untilMs: instant('--until', options.until) }),
    ...(outcome !== undefined && { outcome }),
    ...(code !== undefined && { code }),
    ...(tenant !== undefined && { tenant }),
    ...(team !== undefined && { team }),
    ...(agent !== undefined && { agent }),
    ...(id !== undefined && { id }),
    ...(options.user !== undefined && { user: pseudonymOf(options, folder) }),
    limit: rows(options.limit),
  }
}

function typeOf(text: string): RecordType {
  const found = RECORD_TYPES.find((type) => type === text)
  if (found === undefined) throw new UsageError(`--type ${text}: one of ${RECORD_TYPES.join(', ')}`)
  return found
}

function instant(option: string, text: string): number {
  const ms = Date.parse(text)
  if (Number.isNaN(ms)) throw new UsageError(`${option} ${text}: a time such as 2026-11-21T00:00:00Z`)
  return ms
}

function rows(text: string): number {
  const count = Number(text)
  if (!Number.isSafeInteger(count) || count < 1) throw new UsageError(`--limit ${text}: a whole number from 1`)
  return count
}

function pseudonymOf(options: QueryOptions, folder: DataFolder): string {
  const { tenant, user: name = '', issuer } = options
  if (tenant === undefined) throw new UsageError('--user needs --tenant: names are pseudonymised by tenant')
  const pseudonym = folder.pseudonymOf({ tenant, issuer, name })
  if (pseudonym !== undefined) return pseudonym
  throw new UsageError('--user: keys/pseudonyms.key is not in this data folder, so nobody can be found by name')
}

const HEADER = ['time', 'type', 'outcome', 'code', 'tenant', 'team', 'agent', 'model', 'usd', 'id']

function row(record: AuditRecord): readonly string[] {
  const [act, dec, mdl] = [membersOf(record['act']), membersOf(record['dec']), membersOf(record['mdl'])]
  const usd = record.type === 'settle' ? membersOf(record['usd'])['act'] : membersOf(record['est'])['usd']
  const outcome = textOf(dec['out']) || textOf(record['out'])
  const model = textOf(mdl['served']) || textOf(mdl['req'])
  const id = textOf(membersOf(record['ref'])['id']) || textOf(membersOf(record['req'])['id']) || record.id
  const cells = [
    outcome,
    textOf(dec['code']),
    textOf(act['tenant']),
    textOf(act['team']),
    textOf(act['agent']),
    model,
    textOf(usd),
  ]
  return [record.t, record.type, ...cells.map((cell) => cell || '-'), id]
}
